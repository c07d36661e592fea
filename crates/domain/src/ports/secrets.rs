use crate::queue::DrawKey;

/// Makes what nobody may guess.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Secrets: Send + Sync {
    /// The key of a draw, different each time, from the system's randomness.
    fn draw_key(&self) -> DrawKey;
}
