use encore_domain::identity::session::{SECRET_BYTES, Secret};
use encore_domain::ports::SecretSeals;
use encore_domain::webhook::SealedSecret;
use ring::aead::{Aad, NONCE_LEN, Nonce};
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;

use crate::keyring::Keyring;

/// Secrets encrypted by AES-256-GCM, under a key that is derived from the keyring's first key. What the secret belongs to is
/// authenticated with it, so a row that was copied to another owner is not opened.
///
/// A sealed secret is the length of the key's id, that id, a random nonce, the ciphertext and its tag. Nonces are random: a key seals far
/// fewer secrets than the 2^32 for which that is safe (NIST SP 800-38D, section 8.3).
#[derive(Debug)]
pub struct EncryptedSecrets {
    keyring: Keyring,
    random: SystemRandom,
}

impl EncryptedSecrets {
    /// Secrets that are sealed with the first key and opened with any.
    pub fn new(keyring: Keyring) -> Self {
        Self { keyring, random: SystemRandom::new() }
    }
}

impl SecretSeals for EncryptedSecrets {
    #[expect(
        clippy::expect_used,
        reason = "the system has randomness, and a secret is far shorter than the cipher's limit"
    )]
    fn seal(&self, secret: &Secret, of: Uuid) -> SealedSecret {
        let keys = self.keyring.keys();
        let key = keys.signing();
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).expect("randomness");
        let mut sealed = secret.0;
        let (unique, owner) = (Nonce::assume_unique_for_key(nonce), Aad::from(of.as_bytes()));
        let tag = key.sealing.seal_in_place_separate_tag(unique, owner, &mut sealed).expect("a short secret");
        let id = key.id.as_bytes();
        let length = u8::try_from(id.len()).expect("the id of a key is short");
        SealedSecret([&[length], id, &nonce, &sealed, tag.as_ref()].concat())
    }

    fn open(&self, sealed: &SealedSecret, of: Uuid) -> Option<Secret> {
        let (length, rest) = sealed.0.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(*length))?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.keyring.keys();
        let key = keys.secret(std::str::from_utf8(id).ok()?)?;
        let mut sealed = sealed.to_vec();
        let (nonce, owner) = (Nonce::assume_unique_for_key(*nonce), Aad::from(of.as_bytes()));
        let secret: &[u8] = key.sealing.open_in_place(nonce, owner, &mut sealed).ok()?;
        <[u8; SECRET_BYTES]>::try_from(secret).ok().map(Secret)
    }
}
