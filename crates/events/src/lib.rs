#![doc = include_str!("../README.md")]

mod charts;
mod file;
mod relay;

pub use file::{FileLimits, FilePublisher, event_files};
pub use relay::{Relay, RelayParts};
