use std::collections::HashMap;

use encore_domain::booking::seat_block::{SeatBlock, SeatUnblock};
use encore_domain::ids::{BlockId, PerformanceId};
use encore_domain::time::Timestamp;

/// What operators did; the claims say what is blocked.
#[derive(Default)]
pub struct SeatBlockRecords {
    pub blocks: HashMap<BlockId, SeatBlock>,
    pub unblocks: HashMap<BlockId, SeatUnblock>,
}

/// What an operator did.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SeatBlockKind {
    Block,
    Unblock,
}

impl SeatBlockRecords {
    pub fn block(&self, id: BlockId) -> Option<&SeatBlock> {
        self.blocks.get(&id)
    }

    /// All that operators did, and when.
    pub fn changes(&self) -> impl Iterator<Item = (SeatBlockKind, BlockId, PerformanceId, Timestamp)> {
        let blocks = self.blocks.values().map(|it| (SeatBlockKind::Block, it.id, it.performance, it.at));
        blocks.chain(self.unblocks.values().map(|it| (SeatBlockKind::Unblock, it.id, it.performance, it.at)))
    }
}
