use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ports::RequestRecords;
use encore_domain::request::ForgottenRequests;
use encore_domain::time::Timestamp;

use crate::records::{MemoryRecords, Records};

/// [`RequestRecords`] in process.
pub struct MemoryRequestRecords(MemoryRecords);

impl MemoryRequestRecords {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl RequestRecords for MemoryRequestRecords {
    async fn forget(&self, before: Timestamp, limit: u32) -> Result<ForgottenRequests, Unavailable> {
        let Records { requests, reservations, .. } = &mut *self.0.lock();
        let exists = |user, hold| reservations.find(hold).is_some_and(|found| found.user == user);
        Ok(requests.forget(before, limit as usize, exists))
    }
}
