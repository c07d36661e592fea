use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};

use crate::keyring_error::ED25519_KEY_LEN;

/// A secret that instances share. It signs tokens by HMAC-SHA256, and other keys are derived from it (HKDF, RFC 5869): none tells
/// anything of another.
pub(crate) struct SecretKey {
    pub(crate) id: String,
    /// The header of the tokens that the key signs, encoded.
    pub(crate) header: String,
    pub(crate) signing: EncodingKey,
    pub(crate) verifying: DecodingKey,
    /// Encrypts secrets that are stored.
    pub(crate) sealing: LessSafeKey,
    /// The private key of Ed25519 that signs access tokens where no other is configured.
    pub(crate) ed25519: [u8; ED25519_KEY_LEN],
}

impl SecretKey {
    pub(crate) fn new(id: &str, secret: &[u8]) -> Self {
        let (signing, verifying) = (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret));
        let id = id.to_owned();
        let (sealing, ed25519) = (sealing_key(secret), ed25519_key(secret));
        Self { header: encoded(&header_of(&id)), id, signing, verifying, sealing, ed25519 }
    }
}

/// The header of the tokens that the key of this id signs.
pub(crate) fn header_of(id: &str) -> Header {
    Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::HS256) }
}

#[expect(clippy::expect_used, reason = "a header is text")]
fn encoded(header: &Header) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(header).expect("a header can be written"))
}

#[expect(clippy::expect_used, reason = "HKDF gives a key of any length up to 255 digests")]
fn sealing_key(secret: &[u8]) -> LessSafeKey {
    let derived = Salt::new(HKDF_SHA256, b"encore").extract(secret);
    let sealing = derived.expand(&[b"stored secrets"], &AES_256_GCM).map(UnboundKey::from);
    LessSafeKey::new(sealing.expect("a short key"))
}

#[expect(clippy::expect_used, reason = "HKDF gives a key of any length up to 255 digests")]
fn ed25519_key(secret: &[u8]) -> [u8; ED25519_KEY_LEN] {
    struct Ed25519;

    impl KeyType for Ed25519 {
        fn len(&self) -> usize {
            ED25519_KEY_LEN
        }
    }

    let mut key = [0; ED25519_KEY_LEN];
    let derived = Salt::new(HKDF_SHA256, b"encore").extract(secret);
    let filled = derived.expand(&[b"access tokens"], Ed25519).and_then(|derived| derived.fill(&mut key));
    filled.expect("a short key");
    key
}
