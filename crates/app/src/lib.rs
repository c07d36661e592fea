#![doc = include_str!("../README.md")]

pub mod admin;
pub mod audit;
pub mod booking;
pub mod catalog;
pub mod error;
pub mod identity;
pub mod open_queues;
pub mod payment;
pub mod position_stream;
pub mod queue;
pub mod queue_admin;
mod queue_ceilings;
pub mod queue_guard;
mod queue_presence;
pub mod queue_recovery;
pub mod queue_replica;
pub mod queue_status;
pub mod queue_view;
pub mod rehearsal_fans;
pub mod seat_blocks;
pub mod upkeep;
pub mod wallet;

pub use encore_seat_map::contexts;
