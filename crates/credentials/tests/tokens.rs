//! The contracts of access tokens, queue tokens, lane grants and page tokens, and attempts to forge them.

#![expect(clippy::expect_used, reason = "tests")]

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use encore_credentials::{
    EncryptedSecrets, Keyring, SignedAccessTokens, SignedLaneGrants, SignedPageTokens, SignedQueueTokens,
};
use encore_domain::identity::session::Secret;
use encore_domain::identity::{AccessTokenPayload, Caller, Role};
use encore_domain::ids::{PerformanceId, SessionId, UserId};
use encore_domain::ports::{AccessTokens, LaneGrants, PageTokens, QueueTokens, SecretSeals};
use encore_domain::queue::{LaneName, LanePass, QueueTokenPayload};
use encore_domain::time::Timestamp;
use encore_domain::webhook::SealedSecret;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde::Serialize;
use uuid::Uuid;

const SECRET: [u8; 32] = [7; 32];
const LIFETIME: Duration = Duration::from_mins(15);
const CALLER: Caller = Caller { user: UserId(Uuid::from_u128(1)), role: Role::Fan };
const PAYLOAD: QueueTokenPayload = QueueTokenPayload {
    performance: PerformanceId(Uuid::from_u128(2)),
    user: UserId(Uuid::from_u128(1)),
    epoch: -3,
    lane: 7,
    index: u64::MAX,
    issued_at: Timestamp::UNIX_EPOCH,
    needs_accessible: false,
    admitted_until: None,
};

fn keyring() -> Keyring {
    Keyring::from_secret("k1", &SECRET).expect("a key")
}

/// What a token of this caller says.
fn payload_of(caller: Caller) -> AccessTokenPayload {
    AccessTokenPayload { caller, session: None, expires_at: now() + LIFETIME }
}

fn access_tokens() -> SignedAccessTokens {
    SignedAccessTokens::new(keyring())
}

fn queue_tokens() -> SignedQueueTokens {
    SignedQueueTokens::new(keyring())
}

/// A time in the past with milliseconds: the machine's clock must not decide whether a token is valid.
fn now() -> Timestamp {
    Timestamp::from_timestamp_millis(1_000_000_000_123).expect("a moment of 2001")
}

/// The claims of an access token, to forge one.
#[derive(Clone, Serialize)]
struct Claims {
    aud: Option<&'static str>,
    sub: String,
    role: &'static str,
    iat: f64,
    exp: f64,
}

fn claims() -> Claims {
    let (iat, exp) = (1_000_000_000.0, 1_000_000_900.0);
    Claims { aud: Some("encore.access"), sub: CALLER.user.to_string(), role: "fan", iat, exp }
}

fn forge(algorithm: Algorithm, key_id: Option<&str>, secret: &[u8], claims: &Claims) -> String {
    let mut header = Header::new(algorithm);
    header.kid = key_id.map(str::to_owned);
    encode(&header, claims, &EncodingKey::from_secret(secret)).expect("signed")
}

/// The token with one character replaced by another of the alphabet.
fn altered(token: &str, at: usize) -> String {
    let mut bytes = token.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).expect("ASCII")
}

#[test]
fn an_access_token_is_valid_until_it_expires() {
    for role in Role::ALL {
        let session = Some(SessionId(Uuid::from_u128(9))).filter(|_| role == Role::Fan);
        let payload = AccessTokenPayload { session, ..payload_of(Caller { role, ..CALLER }) };
        let issued = access_tokens().issue(&payload, now());
        assert_eq!(issued.expires_at, payload.expires_at);
        assert_eq!(access_tokens().read(&issued.token, now()), Some(payload));
        let last = issued.expires_at - Duration::from_millis(1);
        assert_eq!(access_tokens().read(&issued.token, last), Some(payload), "valid up to the last millisecond");
        assert_eq!(access_tokens().read(&issued.token, issued.expires_at), None);
    }
}

#[test]
fn a_queue_token_is_valid_on_every_instance_with_the_same_keys() {
    let admitted = QueueTokenPayload { admitted_until: Some(now()), ..PAYLOAD };
    let accessible = QueueTokenPayload { issued_at: now(), needs_accessible: true, ..PAYLOAD };
    for payload in [PAYLOAD, admitted, accessible] {
        assert_eq!(queue_tokens().read(&queue_tokens().sign(&payload)), Some(payload));
    }
}

#[test]
fn a_lane_grant_is_valid_and_is_no_other_token() {
    let lane = LaneName::parse("fan-club").expect("a name");
    let pass = LanePass { performance: PAYLOAD.performance, user: PAYLOAD.user, lane, until: now() };
    let grants = SignedLaneGrants::new(keyring());
    let grant = grants.sign(&pass);
    assert_eq!(grants.read(&grant), Some(pass));
    assert_eq!(queue_tokens().read(&grant), None);
    assert_eq!(grants.read(&queue_tokens().sign(&PAYLOAD)), None);
    for at in 0..grant.len() {
        assert_eq!(grants.read(&altered(&grant, at)), None, "character {at}");
    }
}

#[test]
fn a_page_token_is_valid_in_its_listing_only() {
    let (payments, wallet) = ([1; 32], [2; 32]);
    let tokens = SignedPageTokens::new(keyring());
    let token = tokens.sign(&payments, &[0, 7, 255]);
    assert_eq!(tokens.read(&payments, &token), Some(vec![0, 7, 255]));
    assert_eq!(tokens.read(&wallet, &token), None);
    assert_eq!(queue_tokens().read(&token), None);
    assert_eq!(tokens.read(&payments, &queue_tokens().sign(&PAYLOAD)), None);
    let strangers = SignedPageTokens::new(Keyring::from_secret("k1", &[8; 32]).expect("a key"));
    assert_eq!(tokens.read(&payments, &strangers.sign(&payments, &[0, 7, 255])), None);
    for at in 0..token.len() {
        assert_eq!(tokens.read(&payments, &altered(&token, at)), None, "character {at}");
    }
}

#[test]
fn an_altered_token_is_refused() {
    let access = access_tokens().issue(&payload_of(CALLER), now()).token;
    let queue = queue_tokens().sign(&PAYLOAD);
    for at in 0..access.len() {
        assert_eq!(access_tokens().read(&altered(&access, at), now()), None, "character {at}");
    }
    for at in 0..queue.len() {
        assert_eq!(queue_tokens().read(&altered(&queue, at)), None, "character {at}");
    }
}

#[test]
fn the_unused_bits_of_the_last_character_cannot_be_altered() {
    let mut token = access_tokens().issue(&payload_of(CALLER), now()).token;
    let last = token.pop().expect("a character");
    for other in ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']).filter(|other| *other != last) {
        assert_eq!(access_tokens().read(&format!("{token}{other}"), now()), None, "{other}");
    }
}

#[test]
fn claims_with_the_signature_of_another_token_are_refused() {
    let fan = access_tokens().issue(&payload_of(CALLER), now()).token;
    let operator = access_tokens().issue(&payload_of(Caller { role: Role::Operator, ..CALLER }), now()).token;
    let (header_and_claims, _) = operator.rsplit_once('.').expect("three parts");
    let (_, signature) = fan.rsplit_once('.').expect("three parts");
    assert_eq!(access_tokens().read(&format!("{header_and_claims}.{signature}"), now()), None);
}

#[test]
fn a_token_of_another_key_is_refused() {
    let strangers = Keyring::from_secret("k1", &[8; 32]).expect("a key");
    let unknown = Keyring::from_secret("k2", &SECRET).expect("a key");
    for keyring in [strangers, unknown] {
        let access = SignedAccessTokens::new(keyring.clone()).issue(&payload_of(CALLER), now());
        assert_eq!(access_tokens().read(&access.token, now()), None);
        assert_eq!(queue_tokens().read(&SignedQueueTokens::new(keyring).sign(&PAYLOAD)), None);
    }
}

#[test]
fn a_token_of_another_kind_is_refused() {
    let access = access_tokens().issue(&payload_of(CALLER), now()).token;
    assert_eq!(queue_tokens().read(&access), None);
    assert_eq!(access_tokens().read(&queue_tokens().sign(&PAYLOAD), now()), None);
}

#[test]
fn a_signed_token_needs_audience_algorithm_key_id_and_claims() {
    let read = |token: &str| access_tokens().read(token, now()).map(|read| read.caller);
    assert_eq!(
        read(&forge(Algorithm::HS256, Some("k1"), &SECRET, &claims())),
        Some(CALLER),
        "the token that the others are made from"
    );
    let other_audience = Claims { aud: Some("encore.queue"), ..claims() };
    assert_eq!(read(&forge(Algorithm::HS256, Some("k1"), &SECRET, &other_audience)), None);
    let no_audience = Claims { aud: None, ..claims() };
    assert_eq!(read(&forge(Algorithm::HS256, Some("k1"), &SECRET, &no_audience)), None);
    let no_user = Claims { sub: "ada".into(), ..claims() };
    assert_eq!(read(&forge(Algorithm::HS256, Some("k1"), &SECRET, &no_user)), None);
    let no_role = Claims { role: "root", ..claims() };
    assert_eq!(read(&forge(Algorithm::HS256, Some("k1"), &SECRET, &no_role)), None);
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert_eq!(read(&forge(algorithm, Some("k1"), &SECRET, &claims())), None, "{algorithm:?}");
    }
    assert_eq!(read(&forge(Algorithm::HS256, None, &SECRET, &claims())), None, "no key is named");
}

#[test]
fn unknown_claims_of_a_newer_instance_are_ignored() {
    #[derive(Serialize)]
    struct NewerClaims {
        #[serde(flatten)]
        known: Claims,
        session: &'static str,
    }
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("k1".into());
    let newer = NewerClaims { known: claims(), session: "s-1" };
    let token = encode(&header, &newer, &EncodingKey::from_secret(&SECRET)).expect("signed");
    assert_eq!(access_tokens().read(&token, now()).map(|read| read.caller), Some(CALLER));
}

#[test]
fn an_unsigned_token_is_refused() {
    let signed = access_tokens().issue(&payload_of(CALLER), now()).token;
    let mut parts = signed.split('.').skip(1);
    let claims = parts.next().expect("claims");
    let signature = parts.next().expect("a signature");
    for algorithm in ["none", "None", "NONE", "nOnE"] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"typ":"JWT","alg":"{algorithm}","kid":"k1"}}"#));
        for signature in ["", signature] {
            assert_eq!(access_tokens().read(&format!("{header}.{claims}.{signature}"), now()), None, "{algorithm}");
        }
    }
}

#[test]
fn text_that_is_not_a_token_is_refused() {
    let valid = access_tokens().issue(&payload_of(CALLER), now()).token;
    let texts = [
        "",
        ".",
        "..",
        "a.b.c",
        "Bearer x",
        "\u{0}",
        &valid[..valid.len() - 1],
        &format!("{valid}.x"),
        &"x".repeat(1_000_000),
    ];
    for text in texts {
        assert_eq!(access_tokens().read(text, now()), None);
        assert_eq!(queue_tokens().read(text), None);
    }
}

#[test]
fn key_rotation_keeps_tokens_valid() {
    let (old, new) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
    let ring = |text: &str| SignedAccessTokens::new(Keyring::parse(text).expect("keys"));
    let before = ring(&format!("k1:{old}"));
    let during = ring(&format!("k2:{new},k1:{old}"));
    let after = ring(&format!("k2:{new}"));

    let issued_before = before.issue(&payload_of(CALLER), now()).token;
    assert_eq!(during.read(&issued_before, now()).map(|read| read.caller), Some(CALLER));
    assert_eq!(after.read(&issued_before, now()), None, "its key was removed");

    let issued_during = during.issue(&payload_of(CALLER), now()).token;
    assert_eq!(after.read(&issued_during, now()).map(|read| read.caller), Some(CALLER), "the first key signs");
    assert_eq!(before.read(&issued_during, now()), None);
}

#[test]
fn no_secret_is_printed() {
    let secret = STANDARD.encode(SECRET);
    let printed = format!("{:?} {:?}", access_tokens(), queue_tokens());
    assert!(printed.contains("k1") && !printed.contains(&secret) && !printed.contains("7, 7"), "{printed}");
}

#[test]
fn a_stored_secret_is_opened_with_its_key_for_its_owner_and_not_otherwise() {
    let (secret, owner, other) = (Secret([42; 32]), Uuid::from_u128(1), Uuid::from_u128(2));
    let seals = EncryptedSecrets::new(keyring());
    let sealed = seals.seal(&secret, owner);
    assert_eq!(seals.open(&sealed, owner), Some(secret));
    assert_eq!(seals.open(&sealed, other), None, "it is bound to its owner");
    assert_ne!(seals.seal(&secret, owner), sealed, "nobody can compare two");
    assert!(!sealed.0.windows(4).any(|bytes| bytes == &secret.0[..4]), "it is not readable");

    let key = |id: &str, byte| format!("{id}:{}", STANDARD.encode([byte; 32]));
    let opens = |keys: &[String]| {
        let keyring = Keyring::parse(&keys.join(",")).expect("keys");
        EncryptedSecrets::new(keyring).open(&sealed, owner)
    };
    assert_eq!(opens(&[key("k2", 9), key("k1", 7)]), Some(secret), "another key seals now");
    assert_eq!(opens(&[key("k2", 9)]), None, "its key is gone");
    assert_eq!(opens(&[key("k1", 9)]), None, "another key has its id");
    for at in 0..sealed.0.len() {
        let mut altered = sealed.clone();
        altered.0[at] ^= 1;
        assert_eq!(seals.open(&altered, owner), None, "byte {at}");
        assert_eq!(seals.open(&SealedSecret(sealed.0[..at].to_vec()), owner), None, "{at} bytes");
    }
}
