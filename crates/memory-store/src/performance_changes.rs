use std::collections::BTreeMap;
use std::convert::Infallible;

use async_trait::async_trait;
use encore_domain::audit_log::StaffAct;
use encore_domain::booking::Claim;
use encore_domain::booking::seat_block::SeatBlock;
use encore_domain::booking::seat_state::Locker;
use encore_domain::catalog::Performance;
use encore_domain::catalog::performance_change::{ChangeRefusal, PerformanceChange};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::RequestError;
use encore_domain::event::Event;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::PerformanceChanges;
use encore_domain::request::{Applied, RequestKey};

use crate::records::{MemoryRecords, Records};

/// [`PerformanceChanges`] in process.
pub struct MemoryPerformanceChanges(MemoryRecords);

impl MemoryPerformanceChanges {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

/// The answer to a change.
#[derive(Clone)]
struct Changed(Performance);

#[async_trait]
impl PerformanceChanges for MemoryPerformanceChanges {
    async fn change(
        &self,
        performance: PerformanceId,
        change: PerformanceChange,
        act: StaffAct,
    ) -> Result<Applied<Performance>, RequestError<ChangeRefusal>> {
        let Records { catalog, reservations, seat_blocks, outbox, requests, audit_log, .. } = &mut *self.0.lock();
        if let Some(Changed(before)) = requests.before(act.request)? {
            return Ok(Applied::Before(before));
        }
        let before = catalog.performances.get(&performance).cloned();
        let before = before.ok_or(RequestError::Refused(ChangeRefusal::Unknown(performance)))?;
        let after = change.apply(&before, act.at).map_err(RequestError::Refused)?;
        if after != before {
            if let PerformanceChange::Withdraw(blocked) = &change {
                let claims = reservations.claims.entry(performance).or_default();
                check_unused(claims, &blocked.blocks).map_err(RequestError::Refused)?;
                for block in &blocked.blocks {
                    claims.extend(block.slots.iter().map(|slot| (*slot, Claim::blocked(*slot, block.id))));
                    seat_blocks.blocks.insert(block.id, block.clone());
                    outbox.write(&Event::SeatsBlocked(block.clone()));
                }
            }
            catalog.change_performance(after.clone(), act.at);
            audit_log.note(Some(act.changed_performance(&before, &after)));
            if let Some(event) = Event::of_change(&change, &before, &after, &act) {
                outbox.write(&event);
            }
        }
        requests.remember(act.request, Changed(after.clone()));
        Ok(Applied::Now(after))
    }

    async fn find_changed(&self, request: RequestKey) -> Result<Option<Performance>, RequestError<Infallible>> {
        let changed = self.0.lock().requests.before(Some(request))?;
        Ok(changed.map(|Changed(performance)| performance))
    }
}

/// Checks that fans have no seat of these blocks.
fn check_unused(claims: &BTreeMap<Slot, Claim>, blocks: &[SeatBlock]) -> Result<(), ChangeRefusal> {
    let of_fans = |slot: &&Slot| claims.get(*slot).is_some_and(|claim| claim.owner.locker() != Locker::Operators);
    let seats = blocks.iter().flat_map(|block| &block.slots).filter(of_fans).count();
    if seats == 0 { Ok(()) } else { Err(ChangeRefusal::InUse { seats: u32::try_from(seats).unwrap_or(u32::MAX) }) }
}
