//! The crowd of a whole sale: each fan as a person with an app behaves.

pub mod chooser;
pub mod fan;
mod insist;
mod line;
pub mod progress;
pub mod recorder;
pub mod witness;
