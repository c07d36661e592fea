use async_trait::async_trait;
use encore_domain::audit_log::StaffAct;
use encore_domain::error::Unavailable;
use encore_domain::ports::SalesSwitches;
use encore_domain::sales_switch::SalesSwitch;

use crate::records::{MemoryRecords, Records};

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

    async fn set(&self, switch: SalesSwitch, act: Option<StaffAct>) -> Result<(), Unavailable> {
        let Records { sales_switch, audit_log, .. } = &mut *self.0.lock();
        audit_log.note(act.map(|act| act.set_switch(sales_switch.as_ref(), &switch)));
        *sales_switch = Some(switch);
        Ok(())
    }
}
