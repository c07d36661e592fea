#![doc = include_str!("../README.md")]
#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

pub mod audit;
pub mod clock;
pub mod fan;
pub mod http2;
pub mod in_memory;
pub mod ledger;
pub mod route;
pub mod seat_truth;
pub mod watched_seats;
pub mod webhook_receiver;
pub mod world;
