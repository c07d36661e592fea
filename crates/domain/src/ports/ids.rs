use uuid::Uuid;

use crate::identity::session::Secret;
use crate::queue::DrawKey;

/// Generates identifiers and secret keys: values that no other call returns, on any instance.
///
/// # Contract
/// - never the same twice, on any number of instances
/// - an id made later by the same instance sorts after one made earlier: listings go by id
/// - nobody can guess a key or a secret: it is 256 bits of the system's randomness
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Ids: Send + Sync {
    /// A new identifier.
    fn next(&self) -> Uuid;

    /// A new key for the draw of a queue.
    fn draw_key(&self) -> DrawKey;

    /// A new secret, for tokens and signatures.
    fn secret(&self) -> Secret;
}
