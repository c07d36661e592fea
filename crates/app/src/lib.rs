#![doc = include_str!("../README.md")]

pub mod admin;
pub mod audit;
pub mod booking;
pub mod catalog;
mod chart_version;
pub mod choice;
pub mod contexts;
pub mod error;
pub mod identity;
#[path = "../../waiting-room/src/open_queues.rs"]
pub mod open_queues;
pub mod payment;
#[path = "../../waiting-room/src/stream.rs"]
pub mod position_stream;
pub mod queue;
pub mod queue_admin;
mod queue_ceilings;
pub mod queue_guard;
#[path = "../../waiting-room/src/presence.rs"]
mod queue_presence;
#[path = "../../waiting-room/src/recovery.rs"]
pub mod queue_recovery;
#[path = "../../waiting-room/src/registry.rs"]
pub mod queue_replica;
#[path = "../../waiting-room/src/status.rs"]
pub mod queue_status;
#[path = "../../waiting-room/src/view.rs"]
pub mod queue_view;
pub mod rehearsal_fans;
mod seat_alternatives;
pub mod seat_blocks;
mod seat_change_log;
pub mod seat_frames;
mod seat_loading;
pub mod seat_map;
mod seat_reader;
pub mod seat_reconciliation;
mod seat_replica;
mod seat_replica_registry;
mod seat_replica_updater;
pub mod seat_searches;
mod seat_settling;
pub mod seat_stream;
pub mod upkeep;
pub mod wallet;
