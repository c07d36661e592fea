#![doc = include_str!("../README.md")]

pub mod against;
pub mod attack;
mod baselines;
mod client;
pub mod command_line;
pub mod environment;
pub mod live;
mod load;
pub mod operator;
pub mod options;
mod pairs;
mod proof;
pub mod rehearsal;
pub mod report;
mod resources;
pub mod run;
pub mod scenario;
mod scenarios;
pub mod users;
mod venue;
