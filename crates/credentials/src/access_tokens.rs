use encore_domain::identity::{AccessToken, AccessTokenPayload, Caller, Role};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::AccessTokens;
use encore_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::keyring::Keyring;
use crate::seal::Seal;

/// Access tokens as JWTs.
#[derive(Debug)]
pub struct SignedAccessTokens(Seal);

#[derive(Serialize, Deserialize)]
struct AccessClaims {
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
    /// Tokens signed by the first key of the keyring.
    pub fn new(keyring: Keyring) -> Self {
        Self(Seal::new(keyring, "encore.access"))
    }
}

impl AccessTokens for SignedAccessTokens {
    fn issue(&self, payload: &AccessTokenPayload, now: Timestamp) -> AccessToken {
        let AccessTokenPayload { caller, session, expires_at } = *payload;
        let (sub, sid) = (caller.user.to_string(), session.map(|session| session.to_string()));
        let claims = AccessClaims { sub, sid, role: caller.role.into(), iat: now, exp: expires_at };
        AccessToken { token: self.0.sign(&claims), expires_at }
    }

    fn read(&self, token: &str, now: Timestamp) -> Option<AccessTokenPayload> {
        let claims: AccessClaims = self.0.read(token)?;
        let user: UserId = claims.sub.parse().ok()?;
        let caller = Caller { user, role: claims.role.into() };
        let session: Option<SessionId> = claims.sid.map(|sid| sid.parse()).transpose().ok()?;
        (now < claims.exp).then_some(AccessTokenPayload { caller, session, expires_at: claims.exp })
    }
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
