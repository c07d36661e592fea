use crate::audit_log::StaffAct;
use crate::catalog::Performance;
use crate::catalog::performance_change::PerformanceChange;
use crate::event::Event;

impl Event {
    /// That an act changed a performance. None if it is the same as before.
    pub fn of_change(
        change: &PerformanceChange,
        before: &Performance,
        after: &Performance,
        act: &StaffAct,
    ) -> Option<Self> {
        if before == after {
            return None;
        }
        let (performance, cause) = (after.id, act.into());
        match change {
            PerformanceChange::Postpone(postponement) => Some(Self::PerformancePostponed {
                performance,
                before: before.starts_at,
                starts_at: after.starts_at,
                postponed: after.amended.postponed?,
                reason: postponement.reason.clone(),
                cause,
            }),
            PerformanceChange::Terms(_) => {
                Some(Self::PerformanceChanged { before: before.clone(), after: after.clone(), cause })
            }
            PerformanceChange::Withdraw(blocked) => {
                Some(Self::PerformanceWithdrawn { performance, reason: blocked.reason.clone(), cause })
            }
        }
    }
}
