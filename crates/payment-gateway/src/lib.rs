#![doc = include_str!("../README.md")]

mod sandbox;

pub use sandbox::{
    ANSWER_LATE, APPROVE, CAPTURE_REFUSED, DECLINE, INSUFFICIENT_FUNDS, LOSE_ANSWER, NEEDS_ACTION, REFUND_FAILS_LATER,
    REFUND_REFUSED, SandboxGateway, TIME_OUT,
};
