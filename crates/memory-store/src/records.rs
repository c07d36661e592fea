use std::sync::{Arc, Mutex, MutexGuard};

use crate::catalog::CatalogRecords;
use crate::draws::DrawRecords;
use crate::lock::lock;
use crate::outbox::OutboxRecords;
use crate::payments::PaymentRecords;
use crate::queue_records::RecoveryRecords;
use crate::requests::Requests;
use crate::reservations::ReservationRecords;
use crate::seat_blocks::SeatBlockRecords;
use crate::users::UserRecords;
use crate::wallets::WalletRecords;

/// All records, under one mutex so that a change of several records is atomic. Clones share them.
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
    pub queues: RecoveryRecords,
    pub draws: DrawRecords,
    pub reservations: ReservationRecords,
    pub seat_blocks: SeatBlockRecords,
    pub wallets: WalletRecords,
    pub payments: PaymentRecords,
    pub outbox: OutboxRecords,
    pub requests: Requests,
}
