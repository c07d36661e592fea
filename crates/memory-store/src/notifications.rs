use std::collections::HashSet;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ports::Notifications;
use encore_domain::time::Timestamp;

use crate::records::MemoryRecords;

/// [`Notifications`] in process.
pub struct MemoryNotifications(MemoryRecords);

impl MemoryNotifications {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Notifications for MemoryNotifications {
    async fn noted(&self, events: &[String]) -> Result<HashSet<String>, Unavailable> {
        let notifications = &self.0.lock().notifications;
        Ok(events.iter().filter(|event| notifications.contains_key(*event)).cloned().collect())
    }

    async fn note(&self, events: &[String], at: Timestamp) -> Result<(), Unavailable> {
        let notifications = &mut self.0.lock().notifications;
        for event in events {
            notifications.entry(event.clone()).or_insert(at);
        }
        Ok(())
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        let notifications = &mut self.0.lock().notifications;
        let old = notifications.iter().filter(|(_, at)| **at < before).take(limit as usize);
        let old: Vec<String> = old.map(|(event, _)| event.clone()).collect();
        for event in &old {
            notifications.remove(event);
        }
        Ok(old.len() as u64)
    }
}
