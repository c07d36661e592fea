use crate::time::Timestamp;

/// The time.
///
/// # Contract
/// - whole milliseconds
/// - never earlier than an answer given before
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}
