use crate::queue::QueueTokenPayload;

/// Signs and reads queue tokens: the strings that fans show as metadata `queue-token`.
///
/// # Contract
/// - a token reads back as its queue token, on every instance that shares the keys
/// - a token that was altered, signed with an unknown key, or made for another purpose reads as none
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait QueueTokens: Send + Sync {
    /// Signs a queue token.
    fn sign(&self, payload: &QueueTokenPayload) -> String;

    /// The queue token that was signed.
    fn read(&self, token: &str) -> Option<QueueTokenPayload>;
}
