use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ports::SalesSwitches;
use encore_domain::sales_switch::SalesSwitch;

use crate::records::MemoryRecords;

/// [`SalesSwitches`] in process.
pub struct MemorySalesSwitches(MemoryRecords);

impl MemorySalesSwitches {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

#[async_trait]
impl SalesSwitches for MemorySalesSwitches {
    async fn get(&self) -> Result<Option<SalesSwitch>, Unavailable> {
        Ok(self.0.lock().sales_switch.clone())
    }

    async fn set(&self, switch: SalesSwitch) -> Result<(), Unavailable> {
        self.0.lock().sales_switch = Some(switch);
        Ok(())
    }
}
