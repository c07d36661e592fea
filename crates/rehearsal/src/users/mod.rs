//! The crowd of a whole sale: each fan as a person with an app behaves.

pub mod checker;
pub mod chooser;
pub mod fan;
pub mod progress;
mod queue;
pub mod recorder;
mod retry;
