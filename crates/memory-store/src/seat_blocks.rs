use std::collections::BTreeMap;

use async_trait::async_trait;
use encore_domain::audit_log::StaffAct;
use encore_domain::booking::Claim;
use encore_domain::booking::seat_block::{BlockRefusal, BlockedSeat, SeatBlock, SeatUnblock, UnblockRefusal};
use encore_domain::booking::seat_state::{Locker, SeatOwner};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::PerformanceId;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::SeatBlocks;
use encore_domain::request::Applied;

use crate::paging::{above, rows};
use crate::records::{MemoryRecords, Records};

/// [`SeatBlocks`] in process.
pub struct MemorySeatBlocks(MemoryRecords);

impl MemorySeatBlocks {
    /// Uses shared records.
    pub fn new(records: MemoryRecords) -> Self {
        Self(records)
    }
}

fn is_blocked(claims: &BTreeMap<Slot, Claim>, slot: Slot) -> bool {
    claims.get(&slot).is_some_and(|claim| claim.owner.locker() == Locker::Operators)
}

#[async_trait]
impl SeatBlocks for MemorySeatBlocks {
    async fn block(
        &self,
        block: SeatBlock,
        act: Option<StaffAct>,
    ) -> Result<Applied<SeatBlock>, RequestError<BlockRefusal>> {
        let request = act.as_ref().and_then(|act| act.request);
        let Records { reservations, seat_blocks, outbox, requests, audit_log, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let claims = reservations.claims.entry(block.performance).or_default();
        let of_fans = |slot: &Slot| claims.contains_key(slot) && !is_blocked(claims, *slot);
        let slots: Vec<Slot> = block.slots.iter().copied().filter(of_fans).collect();
        if !slots.is_empty() {
            return Err(RequestError::Refused(BlockRefusal::SeatsTaken { slots }));
        }
        claims.extend(block.slots.iter().map(|slot| (*slot, Claim::blocked(*slot, block.id))));
        seat_blocks.blocks.insert(block.id, block.clone());
        outbox.write(&Event::SeatsBlocked(block.clone()));
        audit_log.note(act.map(|act| act.blocked_seats(&block)));
        requests.remember(request, block.clone());
        Ok(Applied::Now(block))
    }

    async fn unblock(
        &self,
        unblock: SeatUnblock,
        act: Option<StaffAct>,
    ) -> Result<Applied<SeatUnblock>, RequestError<UnblockRefusal>> {
        let request = act.as_ref().and_then(|act| act.request);
        let Records { reservations, seat_blocks, outbox, requests, audit_log, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let claims = reservations.claims.entry(unblock.performance).or_default();
        let slots: Vec<Slot> = unblock.slots.iter().copied().filter(|slot| !is_blocked(claims, *slot)).collect();
        if !slots.is_empty() {
            return Err(RequestError::Refused(UnblockRefusal::NotBlocked { slots }));
        }
        for slot in &unblock.slots {
            claims.remove(slot);
        }
        seat_blocks.unblocks.insert(unblock.id, unblock.clone());
        outbox.write(&Event::SeatsUnblocked(unblock.clone()));
        audit_log.note(act.map(|act| act.unblocked_seats(&unblock)));
        requests.remember(request, unblock.clone());
        Ok(Applied::Now(unblock))
    }

    async fn blocked(
        &self,
        performance: PerformanceId,
        page: PageRequest<Slot>,
    ) -> Result<Page<BlockedSeat, Slot>, Unavailable> {
        let Records { reservations, seat_blocks, .. } = &*self.0.lock();
        let claims = reservations.claims.get(&performance);
        let of_page = claims.into_iter().flat_map(|claims| claims.range(above(&page)));
        let blocked = of_page.filter_map(|(slot, claim)| {
            let SeatOwner::Operators { block } = claim.owner else { return None };
            let SeatBlock { reason, operator, at, .. } = seat_blocks.block(block)?.clone();
            Some(BlockedSeat { slot: *slot, block, reason, operator, at })
        });
        Ok(Page::from_rows(blocked.take(rows(&page)).collect(), page.size, |seat| seat.slot))
    }
}
