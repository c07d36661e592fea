use encore_domain::identity::{AccessToken, AccessTokenPayload, Caller, Role};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::AccessTokens;
use encore_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::keyring::Keyring;
use crate::seal::TOKEN_MAX_LEN;
use crate::verified_tokens::{TokenDigest, VerifiedToken};

/// The audience of access tokens, by which no other token is taken for one.
const AUDIENCE: &str = "encore.access";

/// Access tokens as JWTs, signed by Ed25519 (RFC 8037).
#[derive(Debug)]
pub struct SignedAccessTokens(Keyring);

#[derive(Serialize, Deserialize)]
struct AccessClaims {
    aud: String,
    sub: String,
    /// The session, as in Front-Channel Logout 1.0 (section 3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    role: RoleClaim,
    #[serde(with = "numeric_date")]
    iat: Timestamp,
    #[serde(with = "numeric_date")]
    exp: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoleClaim {
    Fan,
    Support,
    BoxOffice,
    Operator,
    Auditor,
    CheckIn,
}

impl SignedAccessTokens {
    /// Tokens of the keyring's keys for access tokens.
    pub fn new(keyring: Keyring) -> Self {
        Self(keyring)
    }
}

impl AccessTokens for SignedAccessTokens {
    #[expect(clippy::expect_used, reason = "claims are text and numbers")]
    fn issue(&self, payload: &AccessTokenPayload, now: Timestamp) -> AccessToken {
        let AccessTokenPayload { caller, session, expires_at } = *payload;
        let (sub, sid) = (caller.user.to_string(), session.map(|session| session.to_string()));
        let (aud, role) = (AUDIENCE.to_owned(), caller.role.into());
        let claims = AccessClaims { aud, sub, sid, role, iat: now, exp: expires_at };
        let claims = serde_json::to_vec(&claims).expect("claims can be written");
        let keys = self.0.keys();
        let signed = keys.access.sign(&claims, now);
        keys.verified.insert(TokenDigest::of(&signed.token), VerifiedToken::new(*payload, signed.until));
        AccessToken { token: signed.token, expires_at }
    }

    fn read(&self, token: &str, now: Timestamp) -> Option<AccessTokenPayload> {
        if token.len() > TOKEN_MAX_LEN {
            return None;
        }
        let (keys, digest) = (self.0.keys(), TokenDigest::of(token));
        let verified = if let Some(verified) = keys.verified.get(digest) {
            verified
        } else {
            let signed = keys.access.verify(token, now)?;
            let verified = VerifiedToken::new(payload(&signed.claims)?, signed.until);
            if now < verified.until {
                keys.verified.insert(digest, verified);
            }
            verified
        };
        (now < verified.until).then_some(verified.payload)
    }

    fn key_set(&self, now: Timestamp) -> String {
        self.0.keys().access.published(now)
    }
}

/// What the claims of an access token say, in JSON.
fn payload(claims: &[u8]) -> Option<AccessTokenPayload> {
    let AccessClaims { aud, sub, sid, role, exp, .. } = serde_json::from_slice(claims).ok()?;
    let user: UserId = sub.parse().ok().filter(|_| aud == AUDIENCE)?;
    let session: Option<SessionId> = sid.map(|sid| sid.parse()).transpose().ok()?;
    Some(AccessTokenPayload { caller: Caller { user, role: role.into() }, session, expires_at: exp })
}

impl From<Role> for RoleClaim {
    fn from(role: Role) -> Self {
        match role {
            Role::Fan => Self::Fan,
            Role::Support => Self::Support,
            Role::BoxOffice => Self::BoxOffice,
            Role::Operator => Self::Operator,
            Role::Auditor => Self::Auditor,
            Role::CheckIn => Self::CheckIn,
        }
    }
}

impl From<RoleClaim> for Role {
    fn from(role: RoleClaim) -> Self {
        match role {
            RoleClaim::Fan => Self::Fan,
            RoleClaim::Support => Self::Support,
            RoleClaim::BoxOffice => Self::BoxOffice,
            RoleClaim::Operator => Self::Operator,
            RoleClaim::Auditor => Self::Auditor,
            RoleClaim::CheckIn => Self::CheckIn,
        }
    }
}

/// Seconds since 1970 with a fraction, which RFC 7519 (section 2, `NumericDate`) allows, so that expiry keeps its milliseconds.
mod numeric_date {
    use encore_domain::time::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of any calendar year fit in 53 bits")]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(at.timestamp_millis() as f64 / 1_000.0)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "rounds to the nearest millisecond; a value out of range saturates"
    )]
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let millis = (seconds * 1_000.0).round() as i64;
        Timestamp::from_timestamp_millis(millis).ok_or_else(|| D::Error::custom("out of range"))
    }
}
