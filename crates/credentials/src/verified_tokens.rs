use encore_domain::identity::AccessTokenPayload;
use encore_domain::time::Timestamp;
use moka::sync::Cache;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};

/// The most tokens that are remembered: those of the fans of the largest sale. One takes about 200 bytes.
const TOKENS_MAX: u64 = 100_000;

/// Access tokens that were signed or verified here, so that the next call with one costs a digest and no signature. They are remembered by their
/// whole text, and go with the keys that verified them.
pub(crate) struct VerifiedTokens(Cache<[u8; SHA256_OUTPUT_LEN], VerifiedToken>);

/// What a token says that was verified.
#[derive(Clone, Copy)]
pub(crate) struct VerifiedToken {
    pub(crate) payload: AccessTokenPayload,
    /// When the token or its key is no longer valid.
    pub(crate) until: Timestamp,
}

impl VerifiedToken {
    pub(crate) fn new(payload: AccessTokenPayload, key_until: Option<Timestamp>) -> Self {
        Self { payload, until: key_until.map_or(payload.expires_at, |until| until.min(payload.expires_at)) }
    }
}

/// The digest of a token.
#[derive(Clone, Copy)]
pub(crate) struct TokenDigest([u8; SHA256_OUTPUT_LEN]);

impl TokenDigest {
    #[expect(clippy::expect_used, reason = "the length of a digest is known")]
    pub(crate) fn of(token: &str) -> Self {
        Self(digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("a digest of SHA-256"))
    }
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(Cache::new(TOKENS_MAX))
    }
}

impl VerifiedTokens {
    pub(crate) fn get(&self, token: TokenDigest) -> Option<VerifiedToken> {
        self.0.get(&token.0)
    }

    pub(crate) fn insert(&self, token: TokenDigest, verified: VerifiedToken) {
        self.0.insert(token.0, verified);
    }
}
