#![doc = include_str!("../README.md")]

pub mod admin;
pub mod audit;
pub mod booking;
pub mod catalog;
mod chart_version;
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
mod seat_board;
mod seat_boards;
mod seat_follower;
pub mod seat_frames;
mod seat_journal;
pub mod seat_map;
mod seat_offers;
mod seat_reader;
pub mod seat_searches;
pub mod seat_stream;
pub mod upkeep;
pub mod wallet;
