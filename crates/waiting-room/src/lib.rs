#![doc = include_str!("../README.md")]

mod absence;
mod admission;
mod error;
mod known_draws;
mod open_queues;
mod openings;
mod presence;
mod queue_locks;
mod recovery;
mod registry;
mod replica;
mod report;
mod room;
mod status;
mod status_reader;
mod stock;
mod stream;
mod view;

pub use error::WaitingRoomError;
pub use open_queues::OpenQueue;
pub use report::{LaneReport, QueueReport};
pub use room::{DrawOutcome, Entrant, WaitingRoom, WaitingRoomParts};
pub use status::{Ending, ObservedStatus, QueueStatus, Waiting};
pub use stock::Stock;
pub use stream::PositionStream;
pub use view::QueuePhase;
