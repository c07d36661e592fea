#![doc = include_str!("../README.md")]
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod alarms;
pub mod command_line;
pub mod commands;
pub mod config;
pub mod demo;
pub mod encore;
pub mod listener_tls;
pub mod metrics;
pub mod output;
pub mod ports;
pub mod roles;
mod stock;
pub mod store_watch;
pub mod system;
pub mod telemetry;
pub mod token_keys;
pub mod variables;
pub mod webhooks;
pub mod workers;
