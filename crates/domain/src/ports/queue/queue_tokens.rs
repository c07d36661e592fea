use crate::queue::QueueTokenPayload;

/// Signs and reads queue tokens: the strings that fans show as metadata `queue-token`.
///
/// # Contract
/// - a token reads back as the payload that was signed, on every instance that has the keys
/// - a token that was altered, signed with an unknown key, or made for another purpose is not accepted
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait QueueTokens: Send + Sync {
    /// Signs a payload.
    fn sign(&self, payload: &QueueTokenPayload) -> String;

    /// The payload that was signed.
    fn read(&self, token: &str) -> Option<QueueTokenPayload>;
}
