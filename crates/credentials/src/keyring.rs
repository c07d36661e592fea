use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use thiserror::Error;

/// The shortest secret, in bytes: as long as the output of SHA-256 (RFC 7518, 3.2).
pub const SECRET_MIN_LEN: usize = 32;
/// The most keys of a ring: rotation needs two, and a few more are a mistake that should be seen.
pub const KEYS_MAX: usize = 16;
/// The longest id of a key. It travels in every token.
const KEY_ID_MAX_LEN: usize = 32;

/// The secrets that sign tokens, by id. Cloning shares them.
#[derive(Clone)]
pub struct Keyring(Arc<[Key]>);

/// Why a text is no keyring. Keys are told by their place, counted from 1, since a text that is not understood may be a
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
    #[error("key {place} must be an id, a colon and a secret")]
    NoColon {
        /// Which key.
        place: usize,
    },
    /// A key's id has another form.
    #[error("the id of key {place} must be 1 to 32 of a-z, 0-9 and -")]
    BadId {
        /// Which key.
        place: usize,
    },
    /// A key has the id of another one.
    #[error("key {place} has the id of a key before it")]
    DuplicateId {
        /// Which key.
        place: usize,
    },
    /// A secret is not base64.
    #[error("the secret of key {place} must be base64 with padding")]
    NotBase64 {
        /// Which key.
        place: usize,
    },
    /// A secret is short enough to be guessed.
    #[error("the secret of key {place} must have at least {SECRET_MIN_LEN} bytes")]
    ShortSecret {
        /// Which key.
        place: usize,
    },
}

pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) signing: EncodingKey,
    pub(crate) verifying: DecodingKey,
}

impl Keyring {
    /// Reads keys such as `k2:BASE64,k1:BASE64`, the signing one first. Spaces around a key are dropped.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        if text.trim().is_empty() {
            return Err(KeyringError::Empty);
        }
        let mut keys: Vec<Key> = Vec::new();
        for (place, key) in (1..).zip(text.split(',')) {
            if place > KEYS_MAX {
                return Err(KeyringError::TooMany);
            }
            let (id, secret) = key.trim().split_once(':').ok_or(KeyringError::NoColon { place })?;
            let secret = STANDARD.decode(secret).map_err(|_| KeyringError::NotBase64 { place })?;
            if keys.iter().any(|key| key.id == id) {
                return Err(KeyringError::DuplicateId { place });
            }
            keys.push(Key::new(id, &secret, place)?);
        }
        Ok(Self(keys.into()))
    }

    /// A ring of one key, for a server that makes its own.
    pub fn from_secret(id: &str, secret: &[u8]) -> Result<Self, KeyringError> {
        Ok(Self(Arc::new([Key::new(id, secret, 1)?])))
    }

    /// The key that signs.
    pub(crate) fn signing(&self) -> &Key {
        &self.0[0]
    }

    /// The key of this id.
    pub(crate) fn key(&self, id: &str) -> Option<&Key> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl Key {
    fn new(id: &str, secret: &[u8], place: usize) -> Result<Self, KeyringError> {
        let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if !(1..=KEY_ID_MAX_LEN).contains(&id.len()) || !id.bytes().all(plain) {
            return Err(KeyringError::BadId { place });
        }
        if secret.len() < SECRET_MIN_LEN {
            return Err(KeyringError::ShortSecret { place });
        }
        let (signing, verifying) = (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret));
        Ok(Self { id: id.to_owned(), signing, verifying })
    }
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
    fn the_first_key_signs_and_each_is_found() {
        let text = format!(" {} , {}\n", key("k2", &[2; 32]), key("k1", &[1; 32]));
        let ring = Keyring::parse(&text).expect("two keys");
        assert_eq!(ring.signing().id, "k2");
        assert!(ring.key("k1").is_some());
        assert!(ring.key("k0").is_none());
    }

    #[test]
    fn what_is_no_keyring_is_refused_by_its_place() {
        let good = key("k1", &[7; 32]);
        let cases = [
            (String::new(), KeyringError::Empty),
            (" \n".into(), KeyringError::Empty),
            ("k1".into(), KeyringError::NoColon { place: 1 }),
            (format!("{good},"), KeyringError::NoColon { place: 2 }),
            (key("", &[1; 32]), KeyringError::BadId { place: 1 }),
            (key("K1", &[1; 32]), KeyringError::BadId { place: 1 }),
            (key(&"k".repeat(33), &[1; 32]), KeyringError::BadId { place: 1 }),
            (format!("{good},{}", key("k1", &[9; 32])), KeyringError::DuplicateId { place: 2 }),
            ("k1:not base64".into(), KeyringError::NotBase64 { place: 1 }),
            (format!("{good},{}", key("k2", &[1; 31])), KeyringError::ShortSecret { place: 2 }),
            (vec![good; KEYS_MAX + 1].join(","), KeyringError::DuplicateId { place: 2 }),
        ];
        for (text, error) in cases {
            assert_eq!(Keyring::parse(&text).err(), Some(error), "{text:?}");
        }
        let many: Vec<String> = (0..=KEYS_MAX).map(|n| key(&format!("k{n}"), &[7; 32])).collect();
        assert_eq!(Keyring::parse(&many.join(",")).err(), Some(KeyringError::TooMany));
        assert!(Keyring::parse(&many[1..].join(",")).is_ok());
    }

    #[test]
    fn a_ring_of_one_secret_has_the_same_bounds() {
        assert!(Keyring::from_secret("dev", &[1; 32]).is_ok());
        assert_eq!(Keyring::from_secret("dev", &[1; 31]).err(), Some(KeyringError::ShortSecret { place: 1 }));
        assert_eq!(Keyring::from_secret("dev_1", &[1; 32]).err(), Some(KeyringError::BadId { place: 1 }));
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
