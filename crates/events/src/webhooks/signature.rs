//! Signatures as [Standard Webhooks](https://www.standardwebhooks.com/) say.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use encore_domain::identity::session::Secret;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What a symmetric signature begins with.
const VERSION: &str = "v1";

/// The value of `webhook-signature`: one signature for each secret, with spaces between. Each is the HMAC-SHA256 over the id, the time in
/// seconds and the body, with dots between.
///
/// The ids of events have dots. They are made by the server alone, and no id ends with a dot and a number, so what is signed has one
/// reading.
pub fn signatures(secrets: &[Secret], id: &str, seconds: i64, body: &str) -> String {
    let signed = secrets.iter().map(|secret| {
        // Keys of any length fit.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret.0) else { return String::new() };
        for part in [id, ".", &seconds.to_string(), ".", body] {
            mac.update(part.as_bytes());
        }
        format!("{VERSION},{}", STANDARD.encode(mac.finalize().into_bytes()))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python's `hmac` from the secret `bytes(range(32))` and the message
    /// `booking.hold_placed/018f3a1e-0000-7000-8000-000000000001.1700000000.{"id":"1"}`.
    #[test]
    fn a_known_message_has_the_signature_that_another_implementation_computes() {
        let secret = Secret(std::array::from_fn(|index| u8::try_from(index).expect("32 bytes")));
        let id = "booking.hold_placed/018f3a1e-0000-7000-8000-000000000001";
        let signature = signatures(&[secret], id, 1_700_000_000, r#"{"id":"1"}"#);
        assert_eq!(signature, "v1,ZiUCI/f+u713VqeFt/zsbBe3q0kF6VnCrITqnKEJ+bU=");
    }

    #[test]
    fn each_secret_gives_a_signature_of_all_parts() {
        let (one, two) = (Secret([1; 32]), Secret([2; 32]));
        let both = signatures(&[one, two], "a.b/1", 1_700_000_000, "{}");
        let (first, second) = both.split_once(' ').expect("two signatures");
        assert_eq!(signatures(&[one], "a.b/1", 1_700_000_000, "{}"), first);
        assert_eq!(signatures(&[two], "a.b/1", 1_700_000_000, "{}"), second);
        // A digest of 32 bytes in base64, after the version.
        assert!(first.starts_with("v1,") && first.len() == 3 + 44);
        for other in [
            signatures(&[one], "a.b/2", 1_700_000_000, "{}"),
            signatures(&[one], "a.b/1", 1_700_000_001, "{}"),
            signatures(&[one], "a.b/1", 1_700_000_000, "{ }"),
        ] {
            assert_ne!(other, first);
        }
    }
}
