//! The keys of access tokens: which one signs, which verify, what is published, and attempts to use one as another.

#![expect(clippy::expect_used, reason = "tests")]

use std::collections::HashSet;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use encore_credentials::{ACCESS_TOKEN_MAX_LIFETIME, Keyring, SignedAccessTokens, SignedQueueTokens};
use encore_domain::identity::{AccessTokenPayload, Caller, Role};
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::ports::{AccessTokens, QueueTokens};
use encore_domain::queue::QueueTokenPayload;
use encore_domain::time::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

const SECRET: [u8; 32] = [7; 32];
const CALLER: Caller = Caller { user: UserId(Uuid::from_u128(1)), role: Role::Fan };
const MINUTE: Duration = Duration::from_mins(1);

/// A time in the past: the machine's clock must not decide.
fn now() -> Timestamp {
    Timestamp::from_timestamp_millis(1_000_000_000_000).expect("a moment of 2001")
}

fn payload() -> AccessTokenPayload {
    AccessTokenPayload { caller: CALLER, session: None, expires_at: now() + 10 * MINUTE }
}

/// The secret that every keyring of these tests has.
fn secret() -> String {
    format!("k1:{}", STANDARD.encode(SECRET))
}

/// A key that signs from this time.
fn key(id: &str, byte: u8, signs_from: Timestamp) -> String {
    format!("{id}:ed25519:{}@{}", STANDARD.encode([byte; 32]), signs_from.to_rfc3339())
}

fn keyring(keys: &[String]) -> Keyring {
    Keyring::parse(&format!("{}\n{}", secret(), keys.join("\n"))).expect("keys")
}

fn tokens(keys: &[String]) -> SignedAccessTokens {
    SignedAccessTokens::new(keyring(keys))
}

/// The id of the key that signed a token.
fn key_id(token: &str) -> String {
    decode_header(token).expect("a header").kid.expect("a key id")
}

/// What is published, by key id.
fn published(tokens: &SignedAccessTokens, at: Timestamp) -> Vec<Value> {
    let set: Value = serde_json::from_str(&tokens.key_set(at)).expect("JSON");
    set["keys"].as_array().expect("keys").clone()
}

fn published_ids(tokens: &SignedAccessTokens, at: Timestamp) -> HashSet<String> {
    published(tokens, at).iter().map(|key| key["kid"].as_str().expect("an id").to_owned()).collect()
}

fn ids<const N: usize>(ids: [&str; N]) -> HashSet<String> {
    ids.map(str::to_owned).into()
}

/// The public key of this id, as others read it.
fn public_key(tokens: &SignedAccessTokens, id: &str) -> String {
    let keys = published(tokens, now());
    let key = keys.iter().find(|key| key["kid"] == id).expect("a published key");
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig"))
    );
    assert!(key.get("d").is_none(), "the private key is not published");
    key["x"].as_str().expect("a public key").to_owned()
}

/// The claims of a token that would be accepted with the right signature.
fn claims() -> Value {
    json!({"aud": "encore.access", "sub": CALLER.user.to_string(), "role": "operator", "iat": 1e9, "exp": 1e9 + 600.0})
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn forge_hs256(key_id: &str, secret: &[u8]) -> String {
    let header = Header { kid: Some(key_id.to_owned()), ..Header::new(Algorithm::HS256) };
    encode(&header, &claims(), &EncodingKey::from_secret(secret)).expect("signed")
}

#[test]
fn others_verify_a_token_by_the_published_key() {
    for tokens in [tokens(&[key("a1", 1, now())]), tokens(&[])] {
        let token = tokens.issue(&payload(), now()).token;
        let header = decode_header(&token).expect("a header");
        assert_eq!(header.alg, Algorithm::EdDSA);
        let x = public_key(&tokens, &header.kid.expect("a key id"));
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&["encore.access"]);
        validation.validate_exp = false;
        let key = DecodingKey::from_ed_components(&x).expect("a public key");
        let read = decode::<Value>(&token, &key, &validation).expect("verified").claims;
        assert_eq!(read["sub"], CALLER.user.to_string());
    }
}

#[test]
fn instances_with_the_same_secret_accept_the_tokens_of_each_other() {
    let token = tokens(&[]).issue(&payload(), now()).token;
    assert_eq!(tokens(&[]).read(&token, now()), Some(payload()));
    let others = SignedAccessTokens::new(Keyring::from_secret("k1", &[8; 32]).expect("a key"));
    assert_eq!(others.read(&token, now()), None);
}

#[test]
fn the_key_whose_time_came_last_signs_and_every_key_verifies() {
    let keys = [key("a2", 2, now() + 2 * MINUTE), key("a1", 1, now() + MINUTE)];
    let tokens = tokens(&keys);
    let signed_by = |at: Timestamp| key_id(&tokens.issue(&payload(), at).token);
    assert_eq!(signed_by(now()), "k1.ed25519", "until a time has come, the key of the secret signs");
    assert_eq!(signed_by(now() + MINUTE), "a1");
    assert_eq!(signed_by(now() + 2 * MINUTE), "a2");
    assert_eq!(signed_by(now() + 9 * MINUTE), "a2");
    assert_eq!(published_ids(&tokens, now()), ids(["a1", "a2", "k1.ed25519"]), "before they sign");
    let other = self::tokens(&keys);
    for at in [now(), now() + MINUTE, now() + 2 * MINUTE] {
        let token = tokens.issue(&payload(), at).token;
        assert_eq!(other.read(&token, now()), Some(payload()), "also on an instance whose clock is behind");
    }
}

#[test]
fn a_removed_key_verifies_nothing_even_what_was_verified_before() {
    let (old, new) = (key("a1", 1, now() - MINUTE), key("a2", 2, now() + MINUTE));
    let keyring = keyring(std::slice::from_ref(&old));
    let tokens = SignedAccessTokens::new(keyring.clone());
    let of_old = tokens.issue(&payload(), now()).token;
    let from_elsewhere = self::tokens(std::slice::from_ref(&old)).issue(&payload(), now() + MINUTE).token;
    let accepted = |token: &str| tokens.read(token, now() + 2 * MINUTE).is_some();
    assert!(accepted(&of_old) && accepted(&from_elsewhere));

    keyring.replace(&self::keyring(&[old, new.clone()]));
    let of_new = tokens.issue(&payload(), now() + 2 * MINUTE).token;
    assert_eq!(key_id(&of_new), "a2");
    assert!(accepted(&of_old) && accepted(&from_elsewhere) && accepted(&of_new));
    assert_eq!(published_ids(&tokens, now()), ids(["a1", "a2", "k1.ed25519"]));

    keyring.replace(&self::keyring(&[new]));
    assert!(accepted(&of_new) && !accepted(&of_old) && !accepted(&from_elsewhere));
    assert_eq!(published_ids(&tokens, now()), ids(["a2", "k1.ed25519"]));
}

#[test]
fn secrets_verify_access_tokens_until_those_before_the_first_key_have_expired() {
    let began = now() + MINUTE;
    let tokens = tokens(&[key("a1", 1, began)]);
    let long = AccessTokenPayload { expires_at: now() + 9 * ACCESS_TOKEN_MAX_LIFETIME, ..payload() };
    let of_before = self::tokens(&[]).issue(&long, now()).token;
    let of_secret = tokens.issue(&long, now()).token;
    let last = began + ACCESS_TOKEN_MAX_LIFETIME - Duration::from_millis(1);
    for token in [&of_before, &of_secret] {
        assert_eq!(tokens.read(token, now()), Some(long));
        assert_eq!(tokens.read(token, last), Some(long));
        assert_eq!(tokens.read(token, last + Duration::from_millis(1)), None);
    }
    assert_eq!(published_ids(&tokens, last), ids(["a1", "k1.ed25519"]));
    assert_eq!(published_ids(&tokens, last + Duration::from_millis(1)), ids(["a1"]));
    let later = self::tokens(&[key("a1", 1, began)]);
    assert_eq!(later.read(&of_before, last + Duration::from_millis(1)), None, "also by whoever has not seen it");
}

#[test]
fn a_token_of_a_version_before_is_accepted_by_its_secret_alone() {
    let operator = Caller { role: Role::Operator, ..CALLER };
    let read = |token: &str| tokens(&[]).read(token, now()).map(|read| read.caller);
    assert_eq!(read(&forge_hs256("k1", &SECRET)), Some(operator), "what the others are made from");
    assert_eq!(read(&forge_hs256("k1", &[8; 32])), None);
    assert_eq!(read(&forge_hs256("k2", &SECRET)), None);
}

#[test]
fn each_key_has_one_algorithm() {
    let tokens = tokens(&[key("a1", 1, now())]);
    let read = |token: &str| tokens.read(token, now());
    // What an attacker knows of a public key, as a secret of HMAC.
    for id in ["a1", "k1.ed25519"] {
        let x = public_key(&tokens, id);
        let raw = URL_SAFE_NO_PAD.decode(&x).expect("base64");
        let spki = [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], &raw].concat();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&spki));
        for secret in [raw.as_slice(), x.as_bytes(), &spki, pem.as_bytes()] {
            assert_eq!(read(&forge_hs256(id, secret)), None, "{id}");
        }
    }
    // The right key with the header of another algorithm, and the header of another key.
    let token = tokens.issue(&payload(), now()).token;
    let (_, rest) = token.split_once('.').expect("a header");
    assert!(read(&token).is_some());
    for header in [
        json!({"typ": "JWT", "alg": "HS256", "kid": "a1"}),
        json!({"typ": "JWT", "alg": "none", "kid": "a1"}),
        json!({"typ": "JWT", "alg": "none"}),
        json!({"typ": "JWT", "alg": "EdDSA", "kid": "k1"}),
        json!({"typ": "JWT", "alg": "EdDSA", "kid": "a2"}),
        json!({"typ": "JWT", "alg": "EdDSA"}),
        json!({"typ": "JWT", "alg": "EdDSA", "kid": "a1", "crit": ["exp"]}),
    ] {
        assert_eq!(read(&format!("{}.{rest}", part(&header))), None, "{header}");
    }
    // No signature.
    let none = json!({"typ": "JWT", "alg": "none", "kid": "a1"});
    assert_eq!(read(&format!("{}.{}.", part(&none), part(&claims()))), None);
    let (header, _) = token.split_once('.').expect("a header");
    assert_eq!(read(&format!("{header}.{}.", part(&claims()))), None);
    assert_eq!(read(&format!("{header}.{}.{}", part(&claims()), URL_SAFE_NO_PAD.encode([0; 64]))), None);
}

#[test]
fn a_token_that_was_read_before_expires_all_the_same() {
    let (here, elsewhere) = (tokens(&[key("a1", 1, now())]), tokens(&[key("a1", 1, now())]));
    let token = elsewhere.issue(&payload(), now()).token;
    for tokens in [&here, &elsewhere] {
        assert_eq!(tokens.read(&token, now()), Some(payload()));
        assert_eq!(tokens.read(&token, payload().expires_at), None);
        assert_eq!(tokens.read(&token, now()), Some(payload()), "what is remembered is no verdict");
    }
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let altered = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    assert_eq!(here.read(&altered, now()), None, "it is remembered by its whole text");
}

fn queue_payload() -> QueueTokenPayload {
    QueueTokenPayload {
        performance: PerformanceId(Uuid::from_u128(2)),
        user: CALLER.user,
        epoch: 1,
        lane: 0,
        index: 1,
        issued_at: now(),
        needs_accessible: false,
        admitted_until: None,
    }
}

#[test]
fn queue_tokens_keep_their_keys() {
    let keys = [key("a1", 1, now())];
    let queue_tokens = SignedQueueTokens::new(keyring(&keys));
    let token = queue_tokens.sign(&queue_payload());
    assert_eq!((decode_header(&token).expect("a header").alg, key_id(&token)), (Algorithm::HS256, "k1".to_owned()));
    assert_eq!(SignedQueueTokens::new(keyring(&[])).read(&token), Some(queue_payload()));
    assert_eq!(tokens(&keys).read(&token, now()), None);
    assert_eq!(queue_tokens.read(&tokens(&keys).issue(&payload(), now()).token), None);
}

#[test]
fn secrets_are_replaced_too() {
    let keyring = keyring(&[]);
    let tokens = SignedQueueTokens::new(keyring.clone());
    let of_old = tokens.sign(&queue_payload());
    let next = format!("k2:{}", STANDARD.encode([9; 32]));
    keyring.replace(&Keyring::parse(&format!("{next},{}", secret())).expect("keys"));
    assert_eq!(key_id(&tokens.sign(&queue_payload())), "k2");
    assert_eq!(tokens.read(&of_old), Some(queue_payload()));
    keyring.replace(&Keyring::parse(&next).expect("a key"));
    assert_eq!(tokens.read(&of_old), None);
}
