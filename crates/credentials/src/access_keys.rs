use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use encore_domain::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::keyring_error::ED25519_KEY_LEN;
use crate::secret_key::SecretKey;

/// The longest lifetime of an access token that can be configured. A key that no longer signs verifies for as long.
pub const ACCESS_TOKEN_MAX_LIFETIME: Duration = Duration::from_hours(24);

/// The keys of access tokens. Each has an id of its own, and one algorithm.
pub(crate) struct AccessKeys {
    /// Those that are configured, the one that signs last in front.
    configured: Vec<AccessKey>,
    /// Those of the secrets, the first secret in front: derived keys of Ed25519, and the secrets themselves, by which versions before
    /// have signed.
    of_secrets: Vec<AccessKey>,
    /// Until when those of the secrets verify: until every token that they can have signed has expired. None if no key is configured.
    secrets_end_at: Option<Timestamp>,
}

/// A key of access tokens.
pub(crate) struct AccessKey {
    id: String,
    /// The header of the tokens that the key signs, encoded. It names key and algorithm, so a token with another header is of another
    /// key or of none.
    header: String,
    algorithm: KeyOfAlgorithm,
    /// Since when it signs, unless a later key does. None if it signs where no other does.
    signs_from: Option<Timestamp>,
}

enum KeyOfAlgorithm {
    EdDsa(Ed25519KeyPair),
    /// Verifies what versions before have signed, and signs nothing.
    Hs256(DecodingKey),
}

impl AccessKey {
    /// A key of Ed25519 that signs from this time.
    #[expect(clippy::expect_used, reason = "any bytes of this length are a key")]
    pub(crate) fn ed25519(id: &str, key: &[u8; ED25519_KEY_LEN], signs_from: Option<Timestamp>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(key).expect("a key");
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"EdDSA","kid":"{id}"}}"#));
        Self { id: id.to_owned(), header, algorithm: KeyOfAlgorithm::EdDsa(pair), signs_from }
    }

    fn hs256(secret: &SecretKey) -> Self {
        let algorithm = KeyOfAlgorithm::Hs256(secret.verifying.clone());
        Self { id: secret.id.clone(), header: secret.header.clone(), algorithm, signs_from: None }
    }

    /// The key that is derived from a secret. No configured id has a point.
    fn derived(secret: &SecretKey) -> Self {
        Self::ed25519(&format!("{}.ed25519", secret.id), &secret.ed25519, None)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn signs_from(&self) -> Option<Timestamp> {
        self.signs_from
    }

    /// A token with these claims, in JSON. None for a key that only verifies.
    fn sign(&self, claims: &[u8]) -> Option<String> {
        let KeyOfAlgorithm::EdDsa(pair) = &self.algorithm else { return None };
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
        Some(format!("{signed}.{signature}"))
    }

    /// Whether the key signed this, by the algorithm of the key.
    fn verifies(&self, signed: &str, signature: &str) -> bool {
        match &self.algorithm {
            KeyOfAlgorithm::EdDsa(pair) => {
                let key = UnparsedPublicKey::new(&ED25519, pair.public_key());
                URL_SAFE_NO_PAD
                    .decode(signature)
                    .is_ok_and(|signature| key.verify(signed.as_bytes(), &signature).is_ok())
            }
            KeyOfAlgorithm::Hs256(key) => {
                jsonwebtoken::crypto::verify(signature, signed.as_bytes(), key, Algorithm::HS256).unwrap_or(false)
            }
        }
    }

    /// The public key as a JWK (RFC 8037, section 2). None for a key that has no public part.
    fn published(&self) -> Option<Value> {
        let KeyOfAlgorithm::EdDsa(pair) = &self.algorithm else { return None };
        let x = URL_SAFE_NO_PAD.encode(pair.public_key());
        Some(json!({"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id, "x": x}))
    }
}

/// What a key signed.
pub(crate) struct Signed {
    pub(crate) token: String,
    /// Until when the key verifies. None if there is no end.
    pub(crate) until: Option<Timestamp>,
}

/// What the key of a token verified.
pub(crate) struct Verified {
    /// The claims, in JSON.
    pub(crate) claims: Vec<u8>,
    /// Until when the key verifies. None if there is no end.
    pub(crate) until: Option<Timestamp>,
}

impl AccessKeys {
    /// The configured keys, and those of the secrets, of which there is at least one.
    pub(crate) fn new(mut configured: Vec<AccessKey>, secrets: &[SecretKey]) -> Self {
        configured.sort_by_key(|key| std::cmp::Reverse(key.signs_from));
        let first_began = configured.iter().filter_map(|key| key.signs_from).min();
        Self {
            configured,
            of_secrets: secrets.iter().flat_map(|key| [AccessKey::derived(key), AccessKey::hs256(key)]).collect(),
            secrets_end_at: first_began.map(|began| began + ACCESS_TOKEN_MAX_LIFETIME),
        }
    }

    /// A token with these claims, in JSON, of the key that signs now: the configured one whose time came last, or else that of the first
    /// secret.
    #[expect(clippy::expect_used, reason = "both kinds of keys that sign are of Ed25519")]
    pub(crate) fn sign(&self, claims: &[u8], now: Timestamp) -> Signed {
        let configured = self.configured.iter().find(|key| key.signs_from.is_some_and(|from| from <= now));
        let (key, until) = configured.map_or((&self.of_secrets[0], self.secrets_end_at), |key| (key, None));
        Signed { token: key.sign(claims).expect("a key that signs"), until }
    }

    /// The claims of a token that one of the keys signed.
    pub(crate) fn verify(&self, token: &str, now: Timestamp) -> Option<Verified> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let (key, until) = self.accepted(now).find(|(key, _)| key.header == header)?;
        if !key.verifies(signed, signature) {
            return None;
        }
        Some(Verified { claims: URL_SAFE_NO_PAD.decode(claims).ok()?, until })
    }

    /// The public keys as a JWK Set (RFC 7517, section 5), those included that will sign later.
    pub(crate) fn published(&self, now: Timestamp) -> String {
        let keys: Vec<Value> = self.accepted(now).filter_map(|(key, _)| key.published()).collect();
        json!({"keys": keys}).to_string()
    }

    /// The keys that verify now, each with its end.
    fn accepted(&self, now: Timestamp) -> impl Iterator<Item = (&AccessKey, Option<Timestamp>)> {
        let end = self.secrets_end_at;
        let of_secrets = self.of_secrets.iter().filter(move |_| end.is_none_or(|end| now < end));
        self.configured.iter().map(|key| (key, None)).chain(of_secrets.map(move |key| (key, end)))
    }

    /// The ids of the configured keys.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.configured.iter().map(AccessKey::id)
    }
}
