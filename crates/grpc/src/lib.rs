#![doc = include_str!("../README.md")]

mod access;
mod admin;
mod api;
mod audit;
mod authenticate;
mod booking;
mod calls;
mod catalog;
mod check;
mod contract;
mod deadline;
mod fields;
mod guarded;
mod health;
mod identity;
mod library_status;
mod measure;
mod page_token;
mod payment;
mod queue;
mod queue_admin;
mod queue_pass;
mod rehearsal;
mod seat_blocks;
mod seat_chart;
mod seat_frames;
mod sent_body;
mod status;
mod streams;
mod to_proto;
mod venues;
mod wallet;

pub use api::{Api, ServeError};
pub use guarded::{GUARDED_BY_DEFAULT, GuardedRpcs, NoGuard, NotGuardable};
pub use health::{Availability, LIVENESS};
pub use queue_pass::QUEUE_TOKEN_HEADER;
