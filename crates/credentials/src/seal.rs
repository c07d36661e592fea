use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::verify;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::keyring::Keyring;
use crate::secret_key::header_of;

/// The longest token that is parsed: three times the longest that is issued. It bounds the work for forged tokens.
pub(crate) const TOKEN_MAX_LEN: usize = 1_024;

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

#[derive(Deserialize)]
struct Audience<'c> {
    aud: &'c str,
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
        let keys = self.keyring.keys();
        let key = keys.signing();
        encode(&header_of(&key.id), &Sealed { aud: self.purpose, claims }, &key.signing).expect("claims can be signed")
    }

    /// The claims of a token that a key of the keyring signed for this audience.
    pub(crate) fn read<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        if token.len() > TOKEN_MAX_LEN {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let keys = self.keyring.keys();
        let Some(key) = keys.secret_of_header(header) else { return self.read_other(token) };
        let is_signed = verify(signature, signed.as_bytes(), &key.verifying, Algorithm::HS256).ok()?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok().filter(|_| is_signed)?;
        let of: Audience<'_> = serde_json::from_slice(&claims).ok()?;
        if of.aud != self.purpose {
            return None;
        }
        serde_json::from_slice(&claims).ok()
    }

    /// The same for a token whose header is written otherwise than here. The library parses a header three times.
    fn read_other<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let key_id = decode_header(token).ok()?.kid?;
        let keys = self.keyring.keys();
        let key = keys.secret(&key_id)?;
        decode(token, &key.verifying, &self.validation).ok().map(|token| token.claims)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Claims {
        sub: u8,
    }

    fn seal() -> Seal {
        Seal::new(Keyring::from_secret("k1", &[1; 32]).expect("a key"), "test")
    }

    /// A token of these parts with the signature of the key.
    fn signed(header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature =
            jsonwebtoken::crypto::sign(signed.as_bytes(), &seal().keyring.keys().signing().signing, Algorithm::HS256);
        format!("{signed}.{}", signature.expect("a signature"))
    }

    #[test]
    fn the_header_of_a_token_is_that_of_its_key() {
        let token = seal().sign(&Claims { sub: 7 });
        let header = token.split('.').next().expect("a header");
        assert!(seal().keyring.keys().secret_of_header(header).is_some());
        assert_eq!(seal().read(&token), Some(Claims { sub: 7 }));
    }

    #[test]
    fn a_token_means_the_same_however_its_header_is_written() {
        let claims = json!({"sub": 7, "aud": "test"}).to_string();
        for header in [
            r#"{"typ":"JWT","alg":"HS256","kid":"k1"}"#,
            r#"{"kid":"k1","alg":"HS256","typ":"JWT"}"#,
            r#"{"kid":"k1","alg":"HS256"}"#,
        ] {
            assert_eq!(seal().read(&signed(header, &claims)), Some(Claims { sub: 7 }), "{header}");
            for other in [json!({"sub": 7, "aud": "other"}), json!({"sub": 7}), json!({"aud": "test"})] {
                assert_eq!(seal().read::<Claims>(&signed(header, &other.to_string())), None, "{header} {other}");
            }
        }
        for header in [
            r#"{"typ":"JWT","alg":"HS384","kid":"k1"}"#,
            r#"{"typ":"JWT","alg":"none","kid":"k1"}"#,
            r#"{"typ":"JWT","alg":"HS256","kid":"k2"}"#,
            r#"{"typ":"JWT","alg":"HS256"}"#,
        ] {
            assert_eq!(seal().read::<Claims>(&signed(header, &claims)), None, "{header}");
        }
    }

    #[test]
    fn a_changed_token_is_refused() {
        let token = seal().sign(&Claims { sub: 7 });
        let parts: Vec<&str> = token.split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(json!({"sub": 8, "aud": "test"}).to_string());
        let changed = [
            format!("{}.{other}.{}", parts[0], parts[2]),
            format!("{}.{}.", parts[0], parts[1]),
            format!("{}.{}", parts[0], parts[1]),
            format!("{}.{}.{}x", parts[0], parts[1], parts[2]),
            format!("{token}.{}", parts[2]),
        ];
        for token in changed {
            assert_eq!(seal().read::<Claims>(&token), None, "{token}");
        }
    }
}
