//! The lease of a reader of the outbox. One instance at a time has it, and goes on where the one before stopped.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::event::relay::RelayPosition;
use encore_domain::ports::{Clock, RelayCursor};
use encore_domain::time::Timestamp;
use tracing::info;
use uuid::Uuid;

/// Which lease it is, and how long it lasts.
pub struct LeaseTerms {
    /// What its holder does, for the log.
    pub task: &'static str,
    /// When an instance dies, another takes over after so long at most.
    pub lasts_for: Duration,
    /// It is renewed when less than this is left of it.
    pub renewed_before: Duration,
}

/// The lease, as far as this instance knows.
pub struct Lease {
    cursor: Arc<dyn RelayCursor>,
    clock: Arc<dyn Clock>,
    holder: Uuid,
    terms: LeaseTerms,
    /// Until when this instance has it; none if another may have it.
    until: Option<Timestamp>,
    position: RelayPosition,
}

impl Lease {
    /// A lease that this instance does not have yet.
    pub fn new(cursor: Arc<dyn RelayCursor>, clock: Arc<dyn Clock>, holder: Uuid, terms: LeaseTerms) -> Self {
        Self { cursor, clock, holder, terms, until: None, position: RelayPosition::default() }
    }

    /// Takes it if it is free, and renews it in time. Returns whether this instance has it.
    pub async fn hold(&mut self) -> Result<bool, Unavailable> {
        let now = self.clock.now();
        if self.until.is_some_and(|until| now + self.terms.renewed_before < until) {
            return Ok(true);
        }
        let until = now + self.terms.lasts_for;
        let acquired = self.cursor.acquire(self.holder, now, until).await?;
        if self.until.is_none() && acquired.is_some() {
            info!(holder = %self.holder, task = self.terms.task, "lease acquired");
        } else if self.until.is_some() && acquired.is_none() {
            info!(holder = %self.holder, task = self.terms.task, "lease lost; another instance goes on");
        }
        self.until = acquired.as_ref().map(|_| until);
        self.position = acquired.unwrap_or_default();
        Ok(self.until.is_some())
    }

    /// Renews it, whatever is left of it. If it is lost, saving the position says so.
    pub async fn renew(&mut self) {
        let now = self.clock.now();
        let until = now + self.terms.lasts_for;
        if let Ok(Some(_)) = self.cursor.acquire(self.holder, now, until).await {
            self.until = Some(until);
        }
    }

    /// Whether this instance had it when it last looked.
    pub fn is_held(&self) -> bool {
        self.until.is_some()
    }

    /// Where its holder is.
    pub fn position(&self) -> &RelayPosition {
        &self.position
    }

    /// Saves a position. Returns whether this instance still has the lease; otherwise the one that took over goes on.
    pub async fn save(&mut self, position: RelayPosition) -> Result<bool, Unavailable> {
        let saved = self.cursor.save(self.holder, &position).await?;
        if saved {
            self.position = position;
        } else {
            self.until = None;
        }
        Ok(saved)
    }

    /// Reads the position anew before it is used again.
    pub fn invalidate(&mut self) {
        self.until = None;
    }

    /// Lets another instance have it at once.
    pub async fn release(&mut self) -> Result<(), Unavailable> {
        self.until = None;
        self.cursor.release(self.holder).await
    }
}
