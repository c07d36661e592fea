use thiserror::Error;

/// The shortest secret, in bytes: the output size of SHA-256 (RFC 7518, section 3.2).
pub const SECRET_MIN_LEN: usize = 32;
/// The length of a private key of Ed25519, in bytes (RFC 8032, section 5.1.5).
pub const ED25519_KEY_LEN: usize = 32;
/// The most keys of a keyring. Rotation needs two of each kind; a longer list is a mistake in the configuration.
pub const KEYS_MAX: usize = 16;
/// The longest id of a key, in bytes. Every token contains it.
pub(crate) const KEY_ID_MAX_LEN: usize = 32;

/// Why a keyring cannot be parsed. Errors name a key by its number in the list, from 1, and never quote the text, which may be a
/// secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyringError {
    /// There is no secret.
    #[error("must have at least one secret, such as k1:BASE64")]
    Empty,
    /// There are more keys than [`KEYS_MAX`].
    #[error("must have at most {KEYS_MAX} keys")]
    TooMany,
    /// A key has no colon.
    #[error("key {key} must be an id, a colon and a secret")]
    NoColon {
        /// The number of the key in the list, from 1.
        key: usize,
    },
    /// The id of a key has an invalid length or character.
    #[error("the id of key {key} must be 1 to 32 of a-z, 0-9 and -")]
    BadId {
        /// The number of the key in the list, from 1.
        key: usize,
    },
    /// Two keys have the same id.
    #[error("key {key} has the same id as an earlier key")]
    DuplicateId {
        /// The number of the key in the list, from 1.
        key: usize,
    },
    /// A secret is not base64.
    #[error("the secret of key {key} must be base64 with padding")]
    NotBase64 {
        /// The number of the key in the list, from 1.
        key: usize,
    },
    /// A secret is shorter than [`SECRET_MIN_LEN`].
    #[error("the secret of key {key} must have at least {SECRET_MIN_LEN} bytes")]
    ShortSecret {
        /// The number of the key in the list, from 1.
        key: usize,
    },
    /// A key of Ed25519 does not have [`ED25519_KEY_LEN`] bytes.
    #[error("the Ed25519 key of key {key} must have {ED25519_KEY_LEN} bytes")]
    NotEd25519 {
        /// The number of the key in the list, from 1.
        key: usize,
    },
    /// A key of Ed25519 does not say from when it signs.
    #[error("key {key} must end with the time from which it signs, such as @2027-01-31T12:00:00Z")]
    NoTime {
        /// The number of the key in the list, from 1.
        key: usize,
    },
    /// Two keys of Ed25519 sign from the same time, so that nobody knows which of them signs.
    #[error("key {key} signs from the same time as an earlier key")]
    SameTime {
        /// The number of the key in the list, from 1.
        key: usize,
    },
}
