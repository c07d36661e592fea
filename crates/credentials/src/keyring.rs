use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encore_domain::time::Timestamp;

use crate::access_keys::{AccessKey, AccessKeys};
use crate::keyring_error::{ED25519_KEY_LEN, KEY_ID_MAX_LEN, KEYS_MAX, KeyringError, SECRET_MIN_LEN};
use crate::secret_key::SecretKey;
use crate::verified_tokens::VerifiedTokens;

/// What a key of Ed25519 begins with, after its id.
const ED25519: &str = "ed25519:";

/// The keys that sign tokens, by id. Clones share them, and follow when they are replaced.
#[derive(Clone)]
pub struct Keyring(Arc<RwLock<Arc<Keys>>>);

/// The keys of a keyring at one time.
pub(crate) struct Keys {
    /// What instances share; the first signs. Never empty.
    secrets: Vec<SecretKey>,
    /// The keys of access tokens.
    pub(crate) access: AccessKeys,
    /// The access tokens that these keys have verified.
    pub(crate) verified: VerifiedTokens,
}

impl Keyring {
    /// Parses keys, separated by commas or line breaks. Spaces around a key are ignored.
    ///
    /// - `k1:BASE64` is a secret. The first secret of the list signs, all verify.
    /// - `a1:ed25519:BASE64@2027-01-31T12:00:00Z` is a private key for access tokens. The one whose time came last signs, all verify.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let (mut secrets, mut access): (Vec<SecretKey>, Vec<AccessKey>) = (Vec::new(), Vec::new());
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        for (number, key) in (1..).zip(lines.flat_map(|line| line.split(','))) {
            if number > KEYS_MAX {
                return Err(KeyringError::TooMany);
            }
            let (id, rest) = key.trim().split_once(':').ok_or(KeyringError::NoColon { key: number })?;
            check_id(id, number)?;
            if secrets.iter().any(|key| key.id == id) || access.iter().any(|key| key.id() == id) {
                return Err(KeyringError::DuplicateId { key: number });
            }
            match rest.strip_prefix(ED25519) {
                None => secrets.push(secret_key(id, &decoded(rest, number)?, number)?),
                Some(rest) => {
                    let key = access_key(id, rest, number)?;
                    if access.iter().any(|other| other.signs_from() == key.signs_from()) {
                        return Err(KeyringError::SameTime { key: number });
                    }
                    access.push(key);
                }
            }
        }
        Self::of(secrets, access)
    }

    /// A keyring of one secret, for a server that generates its own.
    pub fn from_secret(id: &str, secret: &[u8]) -> Result<Self, KeyringError> {
        check_id(id, 1)?;
        Self::of(vec![secret_key(id, secret, 1)?], Vec::new())
    }

    fn of(secrets: Vec<SecretKey>, access: Vec<AccessKey>) -> Result<Self, KeyringError> {
        if secrets.is_empty() {
            return Err(KeyringError::Empty);
        }
        let access = AccessKeys::new(access, &secrets);
        Ok(Self(Arc::new(RwLock::new(Arc::new(Keys { secrets, access, verified: VerifiedTokens::default() })))))
    }

    /// Takes the keys of another keyring, in all clones at once. Tokens of a key that is not among them are refused from now on.
    pub fn replace(&self, other: &Self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other.keys();
    }

    /// The keys of now.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Keys {
    /// The secret that signs: the first.
    pub(crate) fn signing(&self) -> &SecretKey {
        &self.secrets[0]
    }

    /// The secret with this id.
    pub(crate) fn secret(&self, id: &str) -> Option<&SecretKey> {
        self.secrets.iter().find(|key| key.id == id)
    }

    /// The secret of tokens with this encoded header.
    pub(crate) fn secret_of_header(&self, header: &str) -> Option<&SecretKey> {
        self.secrets.iter().find(|key| key.header == header)
    }
}

fn check_id(id: &str, number: usize) -> Result<(), KeyringError> {
    let plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let is_valid = (1..=KEY_ID_MAX_LEN).contains(&id.len()) && id.bytes().all(plain);
    if is_valid { Ok(()) } else { Err(KeyringError::BadId { key: number }) }
}

fn decoded(text: &str, number: usize) -> Result<Vec<u8>, KeyringError> {
    STANDARD.decode(text).map_err(|_| KeyringError::NotBase64 { key: number })
}

fn secret_key(id: &str, secret: &[u8], number: usize) -> Result<SecretKey, KeyringError> {
    if secret.len() < SECRET_MIN_LEN {
        return Err(KeyringError::ShortSecret { key: number });
    }
    Ok(SecretKey::new(id, secret))
}

/// A private key of Ed25519 as [`Keyring::parse`] reads it.
pub fn ed25519_key_text(id: &str, key: &[u8; ED25519_KEY_LEN], signs_from: Timestamp) -> Result<String, KeyringError> {
    check_id(id, 1)?;
    let (key, signs_from) = (STANDARD.encode(key), signs_from.format("%Y-%m-%dT%H:%M:%SZ"));
    Ok(format!("{id}:{ED25519}{key}@{signs_from}"))
}

/// A key of Ed25519 and the time from which it signs (RFC 3339), such as `BASE64@2027-01-31T12:00:00Z`.
fn access_key(id: &str, text: &str, number: usize) -> Result<AccessKey, KeyringError> {
    let (key, time) = text.split_once('@').ok_or(KeyringError::NoTime { key: number })?;
    let signs_from: Timestamp = time.parse().map_err(|_| KeyringError::NoTime { key: number })?;
    let key = <[u8; ED25519_KEY_LEN]>::try_from(decoded(key, number)?);
    let key = key.map_err(|_| KeyringError::NotEd25519 { key: number })?;
    Ok(AccessKey::ed25519(id, &key, Some(signs_from)))
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys();
        f.debug_list().entries(keys.secrets.iter().map(|key| key.id.as_str()).chain(keys.access.ids())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, secret: &[u8]) -> String {
        format!("{id}:{}", STANDARD.encode(secret))
    }

    #[test]
    fn the_text_of_a_new_key_is_read() {
        let signs_from: Timestamp = "2027-01-31T12:00:00Z".parse().expect("a time");
        let text = ed25519_key_text("a1", &[1; 32], signs_from).expect("an id");
        assert_eq!(text, ed25519("a1", &[1; 32], "2027-01-31T12:00:00Z"));
        assert!(Keyring::parse(&format!("{text},{}", key("k1", &[1; 32]))).is_ok());
        assert_eq!(ed25519_key_text("A 1", &[1; 32], signs_from), Err(KeyringError::BadId { key: 1 }));
    }

    fn ed25519(id: &str, key: &[u8], signs_from: &str) -> String {
        format!("{id}:ed25519:{}@{signs_from}", STANDARD.encode(key))
    }

    #[test]
    fn keys_may_have_lines_of_their_own() {
        let text = format!(
            "{},{}\n\n{}\r\n{}\n",
            key("k2", &[2; 32]),
            key("k1", &[1; 32]),
            ed25519("a2", &[4; 32], "2027-02-01T00:00:00Z"),
            ed25519("a1", &[3; 32], "2027-01-01T00:00:00+01:00"),
        );
        assert_eq!(format!("{:?}", Keyring::parse(&text).expect("four keys")), r#"["k2", "k1", "a2", "a1"]"#);
    }

    #[test]
    fn the_first_key_signs_and_every_key_is_found_by_its_id() {
        let text = format!(" {} , {}\n", key("k2", &[2; 32]), key("k1", &[1; 32]));
        let ring = Keyring::parse(&text).expect("two keys");
        let keys = ring.keys();
        assert_eq!(keys.signing().id, "k2");
        assert!(keys.secret("k1").is_some());
        assert!(keys.secret("k0").is_none());
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
            (vec![good.clone(); KEYS_MAX + 1].join(","), KeyringError::DuplicateId { key: 2 }),
            (ed25519("a1", &[1; 32], "2027-01-31T12:00:00Z"), KeyringError::Empty),
            (format!("{good}\nk1:ed25519:x"), KeyringError::DuplicateId { key: 2 }),
            (format!("{good}\na1:ed25519:{}", STANDARD.encode([1; 32])), KeyringError::NoTime { key: 2 }),
            (format!("{good}\n{}", ed25519("a1", &[1; 32], "noon")), KeyringError::NoTime { key: 2 }),
            (
                format!("{good}\n{}", ed25519("a1", &[1; 31], "2027-01-31T12:00:00Z")),
                KeyringError::NotEd25519 { key: 2 },
            ),
            (format!("{good}\na1:ed25519:x@2027-01-31T12:00:00Z"), KeyringError::NotBase64 { key: 2 }),
            (
                ["a1", "a2"].map(|id| ed25519(id, &[1; 32], "2027-01-31T12:00:00Z")).join("\n"),
                KeyringError::SameTime { key: 2 },
            ),
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
        for text in [
            secret.clone(),
            format!("{secret}:k1"),
            format!("k1:{secret}!"),
            format!("k1:{secret},k1:{secret}"),
            format!("k1:{secret},a1:ed25519:{secret}"),
            format!("a1:ed25519:{secret}@2027-01-01T00:00:00Z"),
        ] {
            let error = Keyring::parse(&text).expect_err("no keyring");
            assert!(!format!("{error} {error:?}").contains(&secret), "{error:?}");
        }
    }
}
