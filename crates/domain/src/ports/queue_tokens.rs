use crate::queue::QueueTicket;

/// Signs and reads queue tokens: the strings that fans show as metadata `queue-token`.
///
/// # Contract
/// - a token reads back as its ticket, on every instance that shares the keys
/// - a token that was altered, signed with an unknown key, or made for another purpose reads as none
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait QueueTokens: Send + Sync {
    /// Signs a ticket.
    fn sign(&self, ticket: &QueueTicket) -> String;

    /// The ticket that was signed.
    fn read(&self, token: &str) -> Option<QueueTicket>;
}
