use encore_domain::ports::LaneGrants;
use encore_domain::queue::{LaneName, LanePass};
use encore_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::keyring::Keyring;
use crate::seal::Seal;

/// Lane grants as JWTs.
#[derive(Debug)]
pub struct SignedLaneGrants(Seal);

#[derive(Serialize, Deserialize)]
struct LaneClaims {
    sub: String,
    perf: String,
    lane: String,
    /// When the grant expires, in milliseconds since 1970.
    until: i64,
}

impl SignedLaneGrants {
    /// Grants signed by the first key of the keyring.
    pub fn new(keyring: Keyring) -> Self {
        Self(Seal::new(keyring, "encore.lane"))
    }
}

impl LaneGrants for SignedLaneGrants {
    fn sign(&self, pass: &LanePass) -> String {
        self.0.sign(&LaneClaims {
            sub: pass.user.to_string(),
            perf: pass.performance.to_string(),
            lane: pass.lane.to_string(),
            until: pass.until.timestamp_millis(),
        })
    }

    fn read(&self, grant: &str) -> Option<LanePass> {
        let claims: LaneClaims = self.0.read(grant)?;
        Some(LanePass {
            performance: claims.perf.parse().ok()?,
            user: claims.sub.parse().ok()?,
            lane: LaneName::parse(&claims.lane).ok()?,
            until: Timestamp::from_timestamp_millis(claims.until)?,
        })
    }
}
