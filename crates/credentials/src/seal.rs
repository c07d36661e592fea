use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keyring::Keyring;

/// The longest token that is parsed: three times the longest that is issued. It bounds the work for forged tokens.
const TOKEN_MAX_LEN: usize = 1_024;

/// Signs claims for one audience, and verifies tokens of that audience.
#[derive(Debug)]
pub(crate) struct Seal {
    keyring: Keyring,
    purpose: &'static str,
    validation: Validation,
}

#[derive(Serialize)]
struct Sealed<'c, C> {
    aud: &'static str,
    #[serde(flatten)]
    claims: &'c C,
}

impl Seal {
    pub(crate) fn new(keyring: Keyring, purpose: &'static str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[purpose]);
        validation.set_required_spec_claims(&["aud"]);
        // The library would use the machine's clock. Callers compare the expiry with the time that they are given.
        validation.validate_exp = false;
        Self { keyring, purpose, validation }
    }

    #[expect(clippy::expect_used, reason = "claims are text and numbers, and the key fits the algorithm")]
    pub(crate) fn sign<C: Serialize>(&self, claims: &C) -> String {
        let key = self.keyring.signing();
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.id.clone());
        encode(&header, &Sealed { aud: self.purpose, claims }, &key.signing).expect("claims can be signed")
    }

    pub(crate) fn read<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        if token.len() > TOKEN_MAX_LEN {
            return None;
        }
        let key_id = decode_header(token).ok()?.kid?;
        let key = self.keyring.key(&key_id)?;
        decode(token, &key.verifying, &self.validation).ok().map(|token| token.claims)
    }
}
