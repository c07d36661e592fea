//! The switch of all sales, as this instance knows it.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
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
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    switch: Option<SalesSwitch>,
    /// How often it was set through this instance. A read that began before is out of date.
    times_set: u64,
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
        self.read().switch.clone()
    }

    /// Whether all sales are stopped.
    pub fn is_stopped(&self) -> bool {
        self.read().switch.as_ref().is_some_and(|switch| switch.is_stopped)
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
        let times_set = self.read().times_set;
        let switch = self.switches.get().await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.times_set == times_set {
            known.follow(switch);
        }
        Ok(())
    }

    /// Sets the switch. This instance follows at once.
    pub async fn set(&self, switch: SalesSwitch, act: StaffAct) -> Result<(), AppError> {
        self.switches.set(switch.clone(), Some(act)).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.times_set += 1;
        known.follow(Some(switch));
        Ok(())
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn follow(&mut self, switch: Option<SalesSwitch>) {
        let is_stopped = |switch: &Option<SalesSwitch>| switch.as_ref().is_some_and(|switch| switch.is_stopped);
        if is_stopped(&self.switch) != is_stopped(&switch) {
            let reason = switch.as_ref().map(|switch| switch.reason.as_str());
            warn!(is_stopped = is_stopped(&switch), reason, "the switch of all sales was set");
        }
        self.switch = switch;
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use encore_domain::error::Unavailable;
    use encore_domain::payment::refund::OperatorReason;
    use encore_port_tests::fixtures::{act, at_secs, id, request};
    use tokio::sync::Notify;

    use super::*;

    /// A store whose reads wait until they are let go, and say that all sales are stopped.
    #[derive(Default)]
    struct SlowReads {
        go: Notify,
    }

    fn switch(is_stopped: bool) -> SalesSwitch {
        let reason = OperatorReason::parse("fire alarm").expect("a reason");
        SalesSwitch { is_stopped, reason, by: id(), at: at_secs(1) }
    }

    #[async_trait]
    impl SalesSwitches for SlowReads {
        async fn get(&self) -> Result<Option<SalesSwitch>, Unavailable> {
            self.go.notified().await;
            Ok(Some(switch(true)))
        }

        async fn set(&self, _: SalesSwitch, _: Option<StaffAct>) -> Result<(), Unavailable> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_read_that_began_before_the_switch_was_set_changes_nothing() {
        let store = Arc::new(SlowReads::default());
        let switches: Arc<dyn SalesSwitches> = Arc::clone(&store) as _;
        let gate = SalesGate::new(switches);
        let lift = async {
            gate.set(switch(false), act(request(id()))).await.expect("it is set");
            store.go.notify_one();
        };
        let (read, ()) = tokio::join!(gate.refresh(), lift);
        read.expect("it is read");
        assert!(!gate.is_stopped(), "the switch was lifted");
        store.go.notify_one();
        gate.refresh().await.expect("it is read");
        assert!(gate.is_stopped(), "a later read counts");
    }
}
