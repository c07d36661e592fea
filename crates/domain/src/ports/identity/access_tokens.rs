use crate::identity::{AccessToken, AccessTokenPayload};
use crate::time::Timestamp;

/// Signs and reads access tokens. Reading needs no I/O.
///
/// # Contract
/// - a token reads back as what it was issued with, until it expires
/// - a token that was altered, signed with an unknown key, or made for another purpose is not accepted
/// - the public key of a token is published before it signs
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait AccessTokens: Send + Sync {
    /// Signs a token, issued at `now`.
    fn issue(&self, payload: &AccessTokenPayload, now: Timestamp) -> AccessToken;

    /// What it says; none if it is not valid at `now`.
    fn read(&self, token: &str, now: Timestamp) -> Option<AccessTokenPayload>;

    /// The public keys by which others verify tokens, as a JWK Set (RFC 7517).
    fn key_set(&self, now: Timestamp) -> String;
}
