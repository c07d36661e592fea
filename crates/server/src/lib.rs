#![doc = include_str!("../README.md")]

pub mod commands;
pub mod config;
pub mod demo;
pub mod encore;
pub mod ports;
mod stock;
pub mod system;
pub mod telemetry;
pub mod workers;
