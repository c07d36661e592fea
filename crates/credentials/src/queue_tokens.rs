use encore_domain::ports::QueueTokens;
use encore_domain::queue::QueueTokenPayload;
use encore_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::keyring::Keyring;
use crate::seal::Seal;

/// Queue tokens as JWTs.
#[derive(Debug)]
pub struct SignedQueueTokens(Seal);

#[derive(Serialize, Deserialize)]
struct QueueClaims {
    sub: String,
    perf: String,
    epoch: i64,
    lane: u8,
    idx: u64,
    /// When the fan joined, in milliseconds since 1970.
    iat_ms: i64,
    /// Whether the fan needs an accessible seat. Absent if not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    acc: bool,
    /// When the admission of the fan ends, in milliseconds since 1970. Absent before the fan is admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adm: Option<i64>,
}

impl SignedQueueTokens {
    /// Tokens signed by the first key of the keyring.
    pub fn new(keyring: Keyring) -> Self {
        Self(Seal::new(keyring, "encore.queue"))
    }
}

impl QueueTokens for SignedQueueTokens {
    fn sign(&self, payload: &QueueTokenPayload) -> String {
        self.0.sign(&QueueClaims {
            sub: payload.user.to_string(),
            perf: payload.performance.to_string(),
            epoch: payload.epoch,
            lane: payload.lane,
            idx: payload.index,
            iat_ms: payload.issued_at.timestamp_millis(),
            acc: payload.needs_accessible,
            adm: payload.admitted_until.map(|until| until.timestamp_millis()),
        })
    }

    fn read(&self, token: &str) -> Option<QueueTokenPayload> {
        let claims: QueueClaims = self.0.read(token)?;
        let admitted_until = match claims.adm {
            Some(ms) => Some(Timestamp::from_timestamp_millis(ms)?),
            None => None,
        };
        Some(QueueTokenPayload {
            performance: claims.perf.parse().ok()?,
            user: claims.sub.parse().ok()?,
            epoch: claims.epoch,
            lane: claims.lane,
            index: claims.idx,
            issued_at: Timestamp::from_timestamp_millis(claims.iat_ms)?,
            needs_accessible: claims.acc,
            admitted_until,
        })
    }
}
