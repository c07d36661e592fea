use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ports::SentAlarms;
use encore_domain::time::Timestamp;

use crate::records::MemoryRecords;

/// [`SentAlarms`] in process.
pub struct MemorySentAlarms(MemoryRecords);

impl MemorySentAlarms {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl SentAlarms for MemorySentAlarms {
    async fn claim(
        &self,
        name: &str,
        subject: &str,
        now: Timestamp,
        unless_since: Timestamp,
    ) -> Result<bool, Unavailable> {
        let sent = &mut self.0.lock().sent_alarms;
        let alarm = (name.to_owned(), subject.to_owned());
        if sent.get(&alarm).is_some_and(|at| unless_since <= *at) {
            return Ok(false);
        }
        sent.insert(alarm, now);
        Ok(true)
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, Unavailable> {
        let sent = &mut self.0.lock().sent_alarms;
        let count = sent.len();
        sent.retain(|_, at| before <= *at);
        Ok((count - sent.len()) as u64)
    }
}
