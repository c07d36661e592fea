//! Webhooks of Stripe: signed hints to look at a payment.
//!
//! The signature is an HMAC with SHA-256 over the time, a dot and the body: <https://docs.stripe.com/webhooks#verify-manually>. A hint
//! says which payment has news, and never what they are. So hints that come late, twice, out of order or not at all do no harm.

use std::fmt;
use std::time::Duration;

use encore_domain::ids::PaymentId;
use encore_domain::time::Timestamp;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde_json::Value;
use sha2::Sha256;
use thiserror::Error;

use super::PAYMENT;

/// How much older or newer than now a webhook may be. Stripe signs each delivery anew, also when it repeats one.
pub const WEBHOOK_TOLERANCE: Duration = Duration::from_mins(5);
/// The most secrets that are live at once: the current one and those that are being replaced.
pub const WEBHOOK_SECRETS_MAX: usize = 4;
/// The lengths of a secret, in bytes.
const SECRET_LEN: std::ops::RangeInclusive<usize> = 16..=255;
/// The longest signature header: a time and a few signatures of 64 digits.
const HEADER_MAX_LEN: usize = 2_048;
/// The most signatures of one webhook that are looked at: Stripe sends one for each of its live secrets.
const SIGNATURES_MAX: usize = 8;
/// The scheme of the signatures that count.
const SCHEME: &str = "v1";

/// The secrets with which webhooks may be signed. `Debug` leaves them out.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecrets(Vec<String>);

/// The text is no list of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be 1 to {WEBHOOK_SECRETS_MAX} signing secrets of 16 to 255 visible characters, comma-separated")]
pub struct NotWebhookSecrets;

/// Why a webhook is not listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WebhookRefusal {
    /// There is no signature, or none of the scheme that counts.
    #[error("there is no signature")]
    Unsigned,
    /// No live secret made any of its signatures.
    #[error("the signature is of no live secret")]
    Forged,
    /// It was signed too long ago, or in the future.
    #[error("it was signed too long ago")]
    Old,
    /// It is signed, and it is no event.
    #[error("it is no event")]
    Unreadable,
}

impl WebhookRefusal {
    /// The name in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Old => "old",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The longest name of an object of Stripe's that is read.
const NAME_MAX_LEN: usize = 64;

/// What a webhook is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// There is news of a payment.
    Payment(PaymentId),
    /// There is news of a dispute of the charge that Stripe calls by this name: its `PaymentIntent`.
    Dispute(String),
    /// Nothing of Encore's.
    Other,
}

#[derive(Deserialize)]
struct Event {
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: Value,
}

impl WebhookSecrets {
    /// Reads secrets that are separated by commas.
    pub fn parse(text: &str) -> Result<Self, NotWebhookSecrets> {
        let secrets: Vec<String> = text.split(',').map(|secret| secret.trim().to_owned()).collect();
        let fits =
            |secret: &String| SECRET_LEN.contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_graphic());
        let is_list = secrets.len() <= WEBHOOK_SECRETS_MAX && secrets.iter().all(fits);
        if is_list { Ok(Self(secrets)) } else { Err(NotWebhookSecrets) }
    }

    /// Checks the signature, which is the header `Stripe-Signature`, and reads what the webhook is about.
    pub fn read(&self, signature: Option<&str>, body: &[u8], now: Timestamp) -> Result<Hint, WebhookRefusal> {
        let header = signature.filter(|header| header.len() <= HEADER_MAX_LEN).ok_or(WebhookRefusal::Unsigned)?;
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let signed_at = parts().find(|(name, _)| *name == "t").map(|(_, value)| value);
        let signed_at = signed_at.ok_or(WebhookRefusal::Unsigned)?;
        let signatures = parts().filter(|(name, _)| *name == SCHEME).take(SIGNATURES_MAX);
        let signatures: Vec<Vec<u8>> = signatures.filter_map(|(_, digits)| bytes(digits)).collect();
        if signatures.is_empty() {
            return Err(WebhookRefusal::Unsigned);
        }
        // The time is part of what is signed, so it is checked as it was sent.
        if !self.made_one_of(&signatures, signed_at, body) {
            return Err(WebhookRefusal::Forged);
        }
        let seconds = signed_at.parse::<i64>().ok().and_then(|seconds| Timestamp::from_timestamp(seconds, 0));
        let age = (now - seconds.ok_or(WebhookRefusal::Old)?).abs();
        if age.to_std().is_ok_and(|age| age <= WEBHOOK_TOLERANCE) { hint(body) } else { Err(WebhookRefusal::Old) }
    }

    fn made_one_of(&self, signatures: &[Vec<u8>], signed_at: &str, body: &[u8]) -> bool {
        let mut is_made = false;
        for secret in &self.0 {
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { continue };
            mac.update(signed_at.as_bytes());
            mac.update(b".");
            mac.update(body);
            // `verify_slice` takes the same time wherever the signatures differ, and no secret is left out once one fits.
            is_made |= signatures.iter().fold(false, |fits, it| mac.clone().verify_slice(it).is_ok() | fits);
        }
        is_made
    }
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookSecrets({})", self.0.len())
    }
}

/// Encore's objects name their payment in the metadata: a `PaymentIntent`, its charge, its refunds.
fn hint(body: &[u8]) -> Result<Hint, WebhookRefusal> {
    let Event { data: EventData { object } } = serde_json::from_slice(body).map_err(|_| WebhookRefusal::Unreadable)?;
    if object["object"] == "dispute" {
        let is_name = |name: &&str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            (1..=NAME_MAX_LEN).contains(&name.len()) && name.bytes().all(fits)
        };
        let intent = object["payment_intent"].as_str().filter(is_name);
        return Ok(intent.map_or(Hint::Other, |intent| Hint::Dispute(intent.to_owned())));
    }
    let payment = object["metadata"][PAYMENT].as_str().and_then(|payment| payment.parse().ok());
    Ok(payment.map_or(Hint::Other, Hint::Payment))
}

/// The bytes of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const SECRET: &str = "whsec_of_the_test";
    const OLD_SECRET: &str = "whsec_being_replaced";
    const PAYMENT_ID: Uuid = Uuid::from_u128(7);

    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_780_308_000, 0).expect("a time")
    }

    fn secrets() -> WebhookSecrets {
        WebhookSecrets::parse(&format!("{SECRET}, {OLD_SECRET}")).expect("secrets")
    }

    fn sign(secret: &str, at: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
        mac.update(format!("{at}.").as_bytes());
        mac.update(body);
        format!("{:x}", mac.finalize().into_bytes())
    }

    fn event(object: &Value) -> Vec<u8> {
        json!({ "id": "evt_1", "type": "anything", "data": { "object": object } }).to_string().into_bytes()
    }

    fn of_payment() -> Vec<u8> {
        event(&json!({ "object": "payment_intent", "metadata": { "encore_payment": PAYMENT_ID.to_string() } }))
    }

    fn read(header: &str, body: &[u8]) -> Result<Hint, WebhookRefusal> {
        secrets().read(Some(header), body, now())
    }

    #[test]
    fn a_signature_of_any_live_secret_is_taken() {
        let body = of_payment();
        let at = now().timestamp().to_string();
        for secret in [SECRET, OLD_SECRET] {
            let signature = sign(secret, &at, &body);
            let other = sign("whsec_of_another_account", &at, &body);
            for header in [
                format!("t={at},v1={signature}"),
                format!("t={at},v1={other},v1={signature},v0=aa"),
                format!(" v1={} , t={at} ", signature.to_uppercase()),
            ] {
                assert_eq!(read(&header, &body), Ok(Hint::Payment(PaymentId(PAYMENT_ID))), "{header}");
            }
        }
    }

    #[test]
    fn what_is_unsigned_forged_or_changed_is_refused() {
        let body = of_payment();
        let at = now().timestamp().to_string();
        let signature = sign(SECRET, &at, &body);
        let forged = sign("whsec_of_another_account", &at, &body);
        let later = (now() + Duration::from_secs(1)).timestamp();
        for (header, refusal) in [
            (String::new(), WebhookRefusal::Unsigned),
            (format!("t={at}"), WebhookRefusal::Unsigned),
            (format!("v1={signature}"), WebhookRefusal::Unsigned),
            (format!("t={at},v0={signature}"), WebhookRefusal::Unsigned),
            (format!("t={at},v1=nothex"), WebhookRefusal::Unsigned),
            (format!("t={at},v1={signature}{}", "x".repeat(3_000)), WebhookRefusal::Unsigned),
            (format!("t={at},v1="), WebhookRefusal::Forged),
            (format!("t={at},v1={forged}"), WebhookRefusal::Forged),
            (format!("t={later},v1={signature}"), WebhookRefusal::Forged),
            (format!("t={at},v1={}", &signature[..32]), WebhookRefusal::Forged),
        ] {
            assert_eq!(read(&header, &body), Err(refusal), "{header}");
        }
        let header = format!("t={at},v1={signature}");
        let mut changed = body.clone();
        changed.push(b' ');
        assert_eq!(read(&header, &changed), Err(WebhookRefusal::Forged));
        assert_eq!(secrets().read(None, &body, now()), Err(WebhookRefusal::Unsigned));
    }

    #[test]
    fn what_was_signed_long_ago_is_refused() {
        let body = of_payment();
        for (offset, is_taken) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
            let at = (now().timestamp() + offset).to_string();
            let header = format!("t={at},v1={}", sign(SECRET, &at, &body));
            assert_eq!(read(&header, &body).is_ok(), is_taken, "{offset} s");
        }
        for at in ["", "-", "9999999999999999999", "1e9"] {
            let header = format!("t={at},v1={}", sign(SECRET, at, &body));
            assert_eq!(read(&header, &body), Err(WebhookRefusal::Old), "{at:?}");
        }
    }

    #[test]
    fn only_encore_s_objects_are_hints() {
        let at = now().timestamp().to_string();
        let hint = |body: &[u8]| read(&format!("t={at},v1={}", sign(SECRET, &at, body)), body);
        let id = PAYMENT_ID.to_string();
        let refund = event(&json!({ "object": "refund", "metadata": { "encore_payment": id, "encore_refund": "x" } }));
        assert_eq!(hint(&refund), Ok(Hint::Payment(PaymentId(PAYMENT_ID))));
        let dispute = event(&json!({ "object": "dispute", "payment_intent": "pi_1" }));
        assert_eq!(hint(&dispute), Ok(Hint::Dispute("pi_1".to_owned())));
        for name in [json!(null), json!(""), json!("pi/../1"), json!("x".repeat(65)), json!({ "id": "pi_1" })] {
            let dispute = event(&json!({ "object": "dispute", "payment_intent": name }));
            assert_eq!(hint(&dispute), Ok(Hint::Other), "{name}");
        }
        for other in
            [json!({}), json!("text"), json!({ "metadata": { "encore_payment": "x" } }), json!({ "metadata": 1 })]
        {
            assert_eq!(hint(&event(&other)), Ok(Hint::Other), "{other}");
        }
        for unreadable in [&b""[..], b"{}", b"[]", b"\xff", b"{\"data\":1}"] {
            assert_eq!(hint(unreadable), Err(WebhookRefusal::Unreadable));
        }
    }

    #[test]
    fn secrets_are_checked_and_not_logged() {
        assert!(!format!("{:?}", secrets()).contains("whsec"));
        for text in ["", "short", "whsec_of_the_test,", "whsec of the test!", &["whsec_of_the_test"; 5].join(",")] {
            assert_eq!(WebhookSecrets::parse(text), Err(NotWebhookSecrets), "{text:?}");
        }
    }
}
