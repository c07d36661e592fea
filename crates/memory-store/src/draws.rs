use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Draws;
use encore_domain::queue::Drawn;

use crate::records::MemoryRecords;

/// [`Draws`] in process.
pub struct MemoryDraws(MemoryRecords);

impl MemoryDraws {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl Draws for MemoryDraws {
    async fn keep(&self, performance: PerformanceId, drawn: &[Drawn]) -> Result<Vec<Drawn>, Unavailable> {
        Ok(self.0.lock().draws.entry(performance).or_insert_with(|| drawn.to_vec()).clone())
    }

    async fn find(&self, performance: PerformanceId) -> Result<Option<Vec<Drawn>>, Unavailable> {
        Ok(self.0.lock().draws.get(&performance).cloned())
    }
}
