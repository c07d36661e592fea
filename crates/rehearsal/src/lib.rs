#![doc = include_str!("../README.md")]

mod baselines;
mod client;
pub mod command_line;
pub mod crowd;
mod hall;
pub mod live;
mod load;
pub mod operator;
pub mod options;
mod pairs;
mod proof;
pub mod rehearsal;
pub mod report;
mod resources;
mod scenarios;
pub mod stage;
