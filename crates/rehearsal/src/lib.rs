#![doc = include_str!("../README.md")]

pub mod baselines;
pub mod load;
pub mod report;
