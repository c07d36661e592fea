#![doc = include_str!("../README.md")]

pub mod audit;
pub mod booking;
pub mod catalog;
pub mod error;
pub mod event;
pub mod identity;
pub mod ids;
pub mod money;
pub mod page;
pub mod payment;
pub mod ports;
pub mod queue;
pub mod request;
pub mod text;
pub mod time;
pub mod wallet;
