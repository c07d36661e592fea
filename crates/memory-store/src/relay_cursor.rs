use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::relay::RelayPosition;
use encore_domain::ports::RelayCursor;
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::records::MemoryRecords;

/// [`RelayCursor`] in process: one record for each relay.
pub struct MemoryRelayCursor {
    records: MemoryRecords,
    relay: &'static str,
}

impl MemoryRelayCursor {
    /// The relay of this name, in shared records.
    pub fn new(records: MemoryRecords, relay: &'static str) -> Self {
        Self { records, relay }
    }
}

#[async_trait]
impl RelayCursor for MemoryRelayCursor {
    async fn acquire(
        &self,
        holder: Uuid,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<RelayPosition>, Unavailable> {
        let mut records = self.records.lock();
        let relay = records.relays.entry(self.relay).or_default();
        if relay.lease.is_some_and(|(other, ends_at)| other != holder && now < ends_at) {
            return Ok(None);
        }
        relay.lease = Some((holder, until));
        Ok(Some(relay.position.clone()))
    }

    async fn save(&self, holder: Uuid, position: &RelayPosition) -> Result<bool, Unavailable> {
        let mut records = self.records.lock();
        let relay = records.relays.entry(self.relay).or_default();
        let holds = relay.lease.is_some_and(|(of, _)| of == holder);
        if holds {
            relay.position.clone_from(position);
        }
        Ok(holds)
    }

    async fn release(&self, holder: Uuid) -> Result<(), Unavailable> {
        let mut records = self.records.lock();
        let relay = records.relays.entry(self.relay).or_default();
        relay.lease = relay.lease.filter(|(of, _)| *of != holder);
        Ok(())
    }

    async fn position(&self) -> Result<RelayPosition, Unavailable> {
        Ok(self.records.lock().relays.get(self.relay).map(|relay| relay.position.clone()).unwrap_or_default())
    }
}
