#![doc = include_str!("../README.md")]

mod access;
mod admin;
mod api;
mod audit;
mod authenticate;
mod booking;
mod calls;
mod catalog;
mod fields;
mod gate;
mod identity;
mod page_token;
mod payment;
mod queue;
mod queue_pass;
mod status;
mod to_proto;
mod wallet;

pub use api::{Api, ServeError};
pub use queue_pass::{GUARDABLE, GuardedRpcs, NotGuardable, QUEUE_TOKEN_HEADER};
