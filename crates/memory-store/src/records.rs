use std::sync::{Arc, Mutex, MutexGuard};

use crate::catalog::CatalogRecords;
use crate::draws::DrawRecords;
use crate::lock::lock;
use crate::outbox::OutboxRecords;
use crate::payments::PaymentRecords;
use crate::queue_records::QueueTables;
use crate::requests::Requests;
use crate::reservations::ReservationRecords;
use crate::seat_blocks::SeatBlockRecords;
use crate::users::UserRecords;
use crate::wallets::WalletRecords;

/// All facts, in one place so that a change to several of them is one change. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryRecords(Arc<Mutex<Records>>);

impl MemoryRecords {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Records> {
        lock(&self.0)
    }
}

#[derive(Default)]
pub struct Records {
    pub users: UserRecords,
    pub catalog: CatalogRecords,
    pub queues: QueueTables,
    pub draws: DrawRecords,
    pub reservations: ReservationRecords,
    pub seat_blocks: SeatBlockRecords,
    pub wallets: WalletRecords,
    pub payments: PaymentRecords,
    pub outbox: OutboxRecords,
    pub requests: Requests,
}
