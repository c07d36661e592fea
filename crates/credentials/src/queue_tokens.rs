use encore_domain::ports::QueueTokens;
use encore_domain::queue::QueueTicket;
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
    num: u64,
}

impl SignedQueueTokens {
    /// Tokens signed by the ring's first key.
    pub fn new(keyring: Keyring) -> Self {
        Self(Seal::new(keyring, "encore.queue"))
    }
}

impl QueueTokens for SignedQueueTokens {
    fn sign(&self, ticket: &QueueTicket) -> String {
        self.0.sign(&QueueClaims {
            sub: ticket.user.to_string(),
            perf: ticket.performance.to_string(),
            epoch: ticket.epoch,
            num: ticket.number,
        })
    }

    fn read(&self, token: &str) -> Option<QueueTicket> {
        let claims: QueueClaims = self.0.read(token)?;
        Some(QueueTicket {
            performance: claims.perf.parse().ok()?,
            user: claims.sub.parse().ok()?,
            epoch: claims.epoch,
            number: claims.num,
        })
    }
}
