use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use thiserror::Error;

/// The shortest secret, in bytes: the output size of SHA-256 (RFC 7518, section 3.2).
pub const SECRET_MIN_LEN: usize = 32;
/// The most keys of a keyring. Rotation needs two; a longer list is a mistake in the configuration.
pub const KEYS_MAX: usize = 16;
/// The longest id of a key, in bytes. Every token contains it.
const KEY_ID_MAX_LEN: usize = 32;

/// The keys that sign tokens, by id. Clones share them.
#[derive(Clone)]
pub struct Keyring(Arc<[Key]>);

/// Why a keyring cannot be parsed. Errors name a key by its number in the list, from 1, and never quote the text, which may be a
/// secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyringError {
    /// There is no key.
    #[error("must have at least one key, such as k1:BASE64")]
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
}

pub(crate) struct Key {
    pub(crate) id: String,
    /// The header of the tokens that the key signs, encoded.
    pub(crate) header: String,
    pub(crate) signing: EncodingKey,
    pub(crate) verifying: DecodingKey,
    /// Encrypts secrets that are stored.
    pub(crate) sealing: LessSafeKey,
}

impl Keyring {
    /// Parses keys such as `k2:BASE64,k1:BASE64`, the signing key first. Spaces around a key are ignored.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        if text.trim().is_empty() {
            return Err(KeyringError::Empty);
        }
        let mut keys: Vec<Key> = Vec::new();
        for (number, key) in (1..).zip(text.split(',')) {
            if number > KEYS_MAX {
                return Err(KeyringError::TooMany);
            }
            let (id, secret) = key.trim().split_once(':').ok_or(KeyringError::NoColon { key: number })?;
            let secret = STANDARD.decode(secret).map_err(|_| KeyringError::NotBase64 { key: number })?;
            if keys.iter().any(|key| key.id == id) {
                return Err(KeyringError::DuplicateId { key: number });
            }
            keys.push(Key::new(id, &secret, number)?);
        }
        Ok(Self(keys.into()))
    }

    /// A keyring of one key, for a server that generates its own.
    pub fn from_secret(id: &str, secret: &[u8]) -> Result<Self, KeyringError> {
        Ok(Self(Arc::new([Key::new(id, secret, 1)?])))
    }

    /// The key that signs: the first.
    pub(crate) fn signing(&self) -> &Key {
        &self.0[0]
    }

    /// The key with this id.
    pub(crate) fn key(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The key of tokens with this encoded header.
    pub(crate) fn key_of_header(&self, header: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.header == header)
    }
}

impl Key {
    fn new(id: &str, secret: &[u8], number: usize) -> Result<Self, KeyringError> {
        let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=KEY_ID_MAX_LEN).contains(&id.len()) || !id.bytes().all(plain) {
            return Err(KeyringError::BadId { key: number });
        }
        if secret.len() < SECRET_MIN_LEN {
            return Err(KeyringError::ShortSecret { key: number });
        }
        let (signing, verifying) = (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret));
        let id = id.to_owned();
        Ok(Self { header: encoded(&header_of(&id)), id, signing, verifying, sealing: sealing_key(secret) })
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

/// The key that encrypts, of the secret that signs (HKDF, RFC 5869): neither tells anything of the other.
#[expect(clippy::expect_used, reason = "HKDF gives a key of any length up to 255 digests")]
fn sealing_key(secret: &[u8]) -> LessSafeKey {
    let derived = Salt::new(HKDF_SHA256, b"encore").extract(secret);
    let sealing = derived.expand(&[b"stored secrets"], &AES_256_GCM).map(UnboundKey::from);
    LessSafeKey::new(sealing.expect("a short key"))
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, secret: &[u8]) -> String {
        format!("{id}:{}", STANDARD.encode(secret))
    }

    #[test]
    fn the_first_key_signs_and_every_key_is_found_by_its_id() {
        let text = format!(" {} , {}\n", key("k2", &[2; 32]), key("k1", &[1; 32]));
        let ring = Keyring::parse(&text).expect("two keys");
        assert_eq!(ring.signing().id, "k2");
        assert!(ring.key("k1").is_some());
        assert!(ring.key("k0").is_none());
    }

    #[test]
    fn an_invalid_keyring_is_refused_with_the_number_of_the_key() {
        let good = key("k1", &[7; 32]);
        let cases = [
            (String::new(), KeyringError::Empty),
            (" \n".into(), KeyringError::Empty),
            ("k1".into(), KeyringError::NoColon { key: 1 }),
            (format!("{good},"), KeyringError::NoColon { key: 2 }),
            (key("", &[1; 32]), KeyringError::BadId { key: 1 }),
            (key("K1", &[1; 32]), KeyringError::BadId { key: 1 }),
            (key(&"k".repeat(33), &[1; 32]), KeyringError::BadId { key: 1 }),
            (format!("{good},{}", key("k1", &[9; 32])), KeyringError::DuplicateId { key: 2 }),
            ("k1:not base64".into(), KeyringError::NotBase64 { key: 1 }),
            (format!("{good},{}", key("k2", &[1; 31])), KeyringError::ShortSecret { key: 2 }),
            (vec![good; KEYS_MAX + 1].join(","), KeyringError::DuplicateId { key: 2 }),
        ];
        for (text, error) in cases {
            assert_eq!(Keyring::parse(&text).err(), Some(error), "{text:?}");
        }
        let many: Vec<String> = (0..=KEYS_MAX).map(|n| key(&format!("k{n}"), &[7; 32])).collect();
        assert_eq!(Keyring::parse(&many.join(",")).err(), Some(KeyringError::TooMany));
        assert!(Keyring::parse(&many[1..].join(",")).is_ok());
    }

    #[test]
    fn a_keyring_of_one_secret_has_the_same_limits() {
        assert!(Keyring::from_secret("dev", &[1; 32]).is_ok());
        assert_eq!(Keyring::from_secret("dev", &[1; 31]).err(), Some(KeyringError::ShortSecret { key: 1 }));
        assert_eq!(Keyring::from_secret("dev_1", &[1; 32]).err(), Some(KeyringError::BadId { key: 1 }));
    }

    #[test]
    fn no_secret_is_printed() {
        let secret = STANDARD.encode([7; 32]);
        let ring = Keyring::parse(&format!("k1:{secret}")).expect("a key");
        assert_eq!(format!("{ring:?}"), r#"["k1"]"#);
        for text in
            [secret.clone(), format!("{secret}:k1"), format!("k1:{secret}!"), format!("k1:{secret},k1:{secret}")]
        {
            let error = Keyring::parse(&text).expect_err("no keyring");
            assert!(!format!("{error} {error:?}").contains(&secret), "{error:?}");
        }
    }
}
