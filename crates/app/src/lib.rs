#![doc = include_str!("../README.md")]

pub mod admin;
pub mod booking;
pub mod catalog;
pub mod error;
pub mod halls;
pub mod identity;
pub mod line_board;
pub mod open_lines;
pub mod payment;
pub mod position_stream;
pub mod queue;
pub mod queue_guard;
pub mod rehearsal_fans;
pub mod seat_map;
pub mod upkeep;
pub mod wallet;
