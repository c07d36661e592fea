use async_trait::async_trait;

use crate::audit_log::StaffAct;
use crate::error::Unavailable;
use crate::sales_switch::SalesSwitch;

/// Keeps the switch of all sales.
///
/// # Contract
/// - `sales_go_on_at_first`: the switch was never set
/// - `keeps_the_switch_as_it_was_set_last`
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SalesSwitches: Send + Sync {
    /// How the switch was set last; none if it never was.
    async fn get(&self) -> Result<Option<SalesSwitch>, Unavailable>;

    /// Sets the switch. The act is noted in the audit log.
    async fn set(&self, switch: SalesSwitch, act: Option<StaffAct>) -> Result<(), Unavailable>;
}
