//! The switch of all sales, as this instance knows it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use encore_domain::audit_log::StaffAct;
use encore_domain::ports::SalesSwitches;
use encore_domain::sales_switch::SalesSwitch;
use tracing::warn;

use crate::error::AppError;

/// Refuses holds and payments while an operator has stopped all sales. Clones share what is known.
#[derive(Clone)]
pub struct SalesGate {
    switches: Arc<dyn SalesSwitches>,
    known: Arc<RwLock<Option<SalesSwitch>>>,
}

impl SalesGate {
    /// How often an instance reads the switch. It follows within a second.
    pub const REFRESH_EVERY: Duration = Duration::from_millis(500);

    /// Sales go on until the switch is read.
    pub fn new(switches: Arc<dyn SalesSwitches>) -> Self {
        Self { switches, known: Arc::default() }
    }

    /// How the switch was set last, as far as this instance knows.
    pub fn known(&self) -> Option<SalesSwitch> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether all sales are stopped.
    pub fn is_stopped(&self) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|switch| switch.is_stopped)
    }

    /// Refuses while all sales are stopped. It asks no store.
    pub fn check(&self) -> Result<(), AppError> {
        match self.known().filter(|switch| switch.is_stopped) {
            Some(switch) => Err(AppError::SalesStopped { reason: switch.reason }),
            None => Ok(()),
        }
    }

    /// Reads the switch. While its store is unavailable, what is known stays.
    pub async fn refresh(&self) -> Result<(), AppError> {
        let read = self.switches.get().await?;
        self.know(read);
        Ok(())
    }

    /// Sets the switch. This instance follows at once.
    pub async fn set(&self, switch: SalesSwitch, act: StaffAct) -> Result<(), AppError> {
        self.switches.set(switch.clone(), Some(act)).await?;
        self.know(Some(switch));
        Ok(())
    }

    fn know(&self, switch: Option<SalesSwitch>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_stopped = |switch: &Option<SalesSwitch>| switch.as_ref().is_some_and(|switch| switch.is_stopped);
        if is_stopped(&known) != is_stopped(&switch) {
            let reason = switch.as_ref().map(|switch| switch.reason.as_str());
            warn!(is_stopped = is_stopped(&switch), reason, "the switch of all sales was set");
        }
        *known = switch;
    }
}
