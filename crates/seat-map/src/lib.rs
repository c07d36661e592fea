#![doc = include_str!("../README.md")]

mod change_log;
mod chooser;
mod claims_view;
pub mod contexts;
mod error;
mod failed_searches;
mod frames;
mod loading;
mod map;
mod mutex;
mod pauses;
mod reader;
mod registry;
mod repair;
mod replica;
mod settling;
mod sold;
mod stream;
mod tick;
mod turns;
mod updater;

pub use error::SeatMapError;
pub use frames::{AreaLeft, Changes, ObservedSeats, SeatFrame, SeatRange};
pub use map::{Chosen, SeatMap, SeatMapParts, Taken};
pub use stream::{SeatStream, SeatWatch};
