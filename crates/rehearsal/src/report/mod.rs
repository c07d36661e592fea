//! What a person or a program sees at the end.

pub mod model;
