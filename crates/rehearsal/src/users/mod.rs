//! The virtual users of a whole sale: each behaves as a person with an app does.

pub mod checker;
pub mod chooser;
pub mod fan;
pub mod progress;
mod queue;
pub mod recorder;
mod retry;
