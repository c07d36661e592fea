use crate::time::Timestamp;

/// Tells the time.
///
/// # Contract
/// - whole milliseconds
/// - never earlier than an answer given before
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Clock: Send + Sync {
    /// This moment.
    fn now(&self) -> Timestamp;
}
