use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use encore_domain::booking::Claim;
use encore_domain::booking::seat_block::{BlockRefusal, BlockedSeat, SeatBlock, SeatUnblock, UnblockRefusal};
use encore_domain::booking::seat_state::{Locker, SeatOwner};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::{BlockId, PerformanceId};
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::SeatBlocks;
use encore_domain::request::{Applied, RequestKey};

use crate::paging::{above, rows};
use crate::records::{MemoryRecords, Records};

/// [`SeatBlocks`] in process.
pub struct MemorySeatBlocks(MemoryRecords);

/// The blocks and unblocks by operators. The claims tell which seats are blocked now.
#[derive(Default)]
pub struct SeatBlockRecords {
    blocks: HashMap<BlockId, SeatBlock>,
    unblocks: HashMap<BlockId, SeatUnblock>,
}

/// The kind of a change by an operator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SeatBlockKind {
    Block,
    Unblock,
}

impl SeatBlockRecords {
    pub fn block(&self, id: BlockId) -> Option<&SeatBlock> {
        self.blocks.get(&id)
    }

    /// All blocks and unblocks.
    pub fn changes(&self) -> impl Iterator<Item = (SeatBlockKind, BlockId, PerformanceId)> {
        let blocks = self.blocks.values().map(|it| (SeatBlockKind::Block, it.id, it.performance));
        blocks.chain(self.unblocks.values().map(|it| (SeatBlockKind::Unblock, it.id, it.performance)))
    }
}

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
        request: Option<RequestKey>,
    ) -> Result<Applied<SeatBlock>, PortError<BlockRefusal>> {
        let Records { reservations, seat_blocks, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let claims = reservations.claims.entry(block.performance).or_default();
        let of_fans = |slot: &Slot| claims.contains_key(slot) && !is_blocked(claims, *slot);
        let slots: Vec<Slot> = block.slots.iter().copied().filter(of_fans).collect();
        if !slots.is_empty() {
            return Err(PortError::Refused(BlockRefusal::SeatsTaken { slots }));
        }
        claims.extend(block.slots.iter().map(|slot| (*slot, Claim::blocked(*slot, block.id))));
        seat_blocks.blocks.insert(block.id, block.clone());
        outbox.write(&Event::SeatsBlocked(block.clone()));
        requests.remember(request, block.clone());
        Ok(Applied::Now(block))
    }

    async fn unblock(
        &self,
        unblock: SeatUnblock,
        request: Option<RequestKey>,
    ) -> Result<Applied<SeatUnblock>, PortError<UnblockRefusal>> {
        let Records { reservations, seat_blocks, outbox, requests, .. } = &mut *self.0.lock();
        if let Some(before) = requests.before(request)? {
            return Ok(Applied::Before(before));
        }
        let claims = reservations.claims.entry(unblock.performance).or_default();
        let slots: Vec<Slot> = unblock.slots.iter().copied().filter(|slot| !is_blocked(claims, *slot)).collect();
        if !slots.is_empty() {
            return Err(PortError::Refused(UnblockRefusal::NotBlocked { slots }));
        }
        for slot in &unblock.slots {
            claims.remove(slot);
        }
        seat_blocks.unblocks.insert(unblock.id, unblock.clone());
        outbox.write(&Event::SeatsUnblocked(unblock.clone()));
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
