#![doc = include_str!("../README.md")]

pub mod baselines;
pub mod client;
pub mod command_line;
pub mod crowd;
pub mod hall;
pub mod live;
pub mod load;
pub mod operator;
pub mod options;
mod proof;
pub mod rehearsal;
pub mod report;
pub mod resources;
mod scenarios;
pub mod stage;
