use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::relay::RelayPosition;
use encore_domain::ports::RelayCursor;
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::records::MemoryRecords;

/// [`RelayCursor`] in process.
pub struct MemoryRelayCursor(MemoryRecords);

impl MemoryRelayCursor {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
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
        let relay = &mut self.0.lock().relay;
        if relay.lease.is_some_and(|(other, ends_at)| other != holder && now < ends_at) {
            return Ok(None);
        }
        relay.lease = Some((holder, until));
        Ok(Some(relay.position.clone()))
    }

    async fn save(&self, holder: Uuid, position: &RelayPosition) -> Result<bool, Unavailable> {
        let relay = &mut self.0.lock().relay;
        let holds = relay.lease.is_some_and(|(of, _)| of == holder);
        if holds {
            relay.position.clone_from(position);
        }
        Ok(holds)
    }

    async fn release(&self, holder: Uuid) -> Result<(), Unavailable> {
        let relay = &mut self.0.lock().relay;
        relay.lease = relay.lease.filter(|(of, _)| *of != holder);
        Ok(())
    }

    async fn position(&self) -> Result<RelayPosition, Unavailable> {
        Ok(self.0.lock().relay.position.clone())
    }
}
