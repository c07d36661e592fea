mod audit_log;
mod cards;
mod catalog;
mod draw_entries;
mod ended_tokens;
mod outbox;
mod payments;
mod reservations;
mod seat_blocks;
mod sessions;
mod users;
mod wallets;
mod webhooks;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use encore_domain::catalog::draft::Draft;
use encore_domain::ids::PerformanceId;
use encore_domain::queue::{Drawn, QueueRecord};
use encore_domain::sales_switch::SalesSwitch;
use encore_domain::time::Timestamp;

pub use self::audit_log::AuditLogRecords;
pub use self::cards::{CardRecords, Reconciled};
pub use self::catalog::{CatalogRecords, Milestone};
pub use self::draw_entries::DrawEntryRecords;
pub use self::ended_tokens::EndedTokens;
pub use self::outbox::{OutboxRecords, RelayRecord};
pub use self::payments::PaymentRecords;
pub use self::reservations::ReservationRecords;
pub use self::seat_blocks::{SeatBlockKind, SeatBlockRecords};
pub use self::sessions::SessionRecords;
pub use self::users::UserRecords;
pub use self::wallets::WalletRecords;
pub use self::webhooks::{EndpointRecord, WebhookRecords};
use crate::lock::lock;
use crate::requests::Requests;

/// All records, under one mutex so that a change of several records is atomic. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryRecords(Arc<Mutex<Records>>);

impl MemoryRecords {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Records> {
        lock(&self.0)
    }
}

/// The drafts, by the id of the performance that each will be.
pub type DraftRecords = BTreeMap<PerformanceId, Draft>;

#[derive(Default)]
pub struct Records {
    pub users: UserRecords,
    pub sessions: SessionRecords,
    pub catalog: CatalogRecords,
    pub drafts: DraftRecords,
    /// By performance.
    pub queues: HashMap<PerformanceId, QueueRecord>,
    pub ended_tokens: EndedTokens,
    pub draw_entries: DrawEntryRecords,
    /// By performance; in each by lane.
    pub draws: HashMap<PerformanceId, Vec<Drawn>>,
    pub reservations: ReservationRecords,
    pub seat_blocks: SeatBlockRecords,
    pub wallets: WalletRecords,
    pub payments: PaymentRecords,
    pub cards: CardRecords,
    pub sales_switch: Option<SalesSwitch>,
    pub outbox: OutboxRecords,
    /// By the name of the relay.
    pub relays: HashMap<&'static str, RelayRecord>,
    /// Of which events fans were told, and when.
    pub notifications: HashMap<String, Timestamp>,
    /// When alarms were sent to operators, by the name and the subject of the alarm.
    pub sent_alarms: HashMap<(String, String), Timestamp>,
    pub webhooks: WebhookRecords,
    pub audit_log: AuditLogRecords,
    pub requests: Requests,
}
