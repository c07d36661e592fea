//! The stores that a case runs on, and steps that many cases share.

use std::any::Any;
use std::sync::Arc;

use encore_domain::booking::Reservation;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::event::{Event, OutboxPlace, OutboxRecord};
use encore_domain::ids::UserId;
use encore_domain::money::Money;
use encore_domain::payment::Payment;
use encore_domain::ports::{
    Audit, AuditLog, CardPayments, Catalog, Drafts, Draws, EmailVerifications, Notifications, Outbox, PasswordResets,
    Payments, PerformanceChanges, QueueRecords, QueueStore, RateLimits, Reconciliations, Refunds, RelayCursor,
    RequestRecords, Reservations, SalesRecords, SalesSwitches, SeatBlocks, SeatChanges, SeatLocks, SentAlarms,
    Sessions, Settlements, Users, WalletCredits, Wallets, WebhookDeliveries, WebhookEndpoints, Withdrawals,
};
use encore_domain::queue::Queue;
use encore_domain::request::RequestKey;
use encore_domain::wallet::WalletEntry;
use uuid::Uuid;

use crate::answers::made;
use crate::fixtures;

/// A fresh store of durable records. Its ports share their data.
pub struct RecordBench {
    /// The port under test, or one that supplies its data.
    pub users: Arc<dyn Users>,
    /// The port under test.
    pub sessions: Arc<dyn Sessions>,
    /// The port under test.
    pub password_resets: Arc<dyn PasswordResets>,
    /// The port under test.
    pub email_verifications: Arc<dyn EmailVerifications>,
    /// The port under test, or one that supplies its data.
    pub catalog: Arc<dyn Catalog>,
    /// The port under test.
    pub drafts: Arc<dyn Drafts>,
    /// The port under test.
    pub performance_changes: Arc<dyn PerformanceChanges>,
    /// The port under test.
    pub queue_records: Arc<dyn QueueRecords>,
    /// The port under test.
    pub draws: Arc<dyn Draws>,
    /// The port under test, or one that supplies its data.
    pub reservations: Arc<dyn Reservations>,
    /// The port under test.
    pub seat_blocks: Arc<dyn SeatBlocks>,
    /// The port under test, or one that supplies its data.
    pub wallets: Arc<dyn Wallets>,
    /// The port under test, or one that supplies its data.
    pub payments: Arc<dyn Payments>,
    /// The port under test, or one that supplies its data.
    pub refunds: Arc<dyn Refunds>,
    /// The port under test.
    pub card_payments: Arc<dyn CardPayments>,
    /// The port under test.
    pub wallet_credits: Arc<dyn WalletCredits>,
    /// The port under test.
    pub withdrawals: Arc<dyn Withdrawals>,
    /// The port under test.
    pub reconciliations: Arc<dyn Reconciliations>,
    /// The port under test.
    pub settlements: Arc<dyn Settlements>,
    /// The port under test.
    pub sales_records: Arc<dyn SalesRecords>,
    /// The port under test.
    pub sales_switches: Arc<dyn SalesSwitches>,
    /// The port under test.
    pub request_records: Arc<dyn RequestRecords>,
    /// The port under test, or the one that reads the events of the others.
    pub outbox: Arc<dyn Outbox>,
    /// The port under test.
    pub notifications: Arc<dyn Notifications>,
    /// The port under test.
    pub relay_cursor: Arc<dyn RelayCursor>,
    /// The port under test.
    pub sent_alarms: Arc<dyn SentAlarms>,
    /// The port under test, or one that supplies its data.
    pub webhook_endpoints: Arc<dyn WebhookEndpoints>,
    /// The port under test.
    pub webhook_deliveries: Arc<dyn WebhookDeliveries>,
    /// The port under test.
    pub audit: Arc<dyn Audit>,
    /// The port under test.
    pub audit_log: Arc<dyn AuditLog>,
    /// A guard that lives as long as the case. It may clean up when it is dropped.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A fresh store of live state.
pub struct SpeedBench {
    /// The port under test.
    pub seat_locks: Arc<dyn SeatLocks>,
    /// The port under test, which streams the changes of the seat locks.
    pub seat_changes: Arc<dyn SeatChanges>,
    /// The port under test.
    pub queues: Arc<dyn QueueStore>,
    /// The port under test.
    pub rate_limits: Arc<dyn RateLimits>,
    /// A guard that lives as long as the case. It may clean up when it is dropped.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// The identity of an event in the outbox: id, kind and key.
pub type EventIdentity = (String, String, Uuid);

/// The identity that an event must have in the outbox.
pub fn identity_of(event: &Event) -> EventIdentity {
    (event.id(), event.kind().to_owned(), event.key())
}

impl RecordBench {
    /// Adds a fan, as a rehearsal does: without an event.
    pub(crate) async fn sign_up(&self) -> UserId {
        let account = fixtures::account();
        let user = account.user.id;
        assert_eq!(self.users.add_all(vec![account]).await.expect("the store answers"), 1);
        user
    }

    /// Adds a performance with its concert and a venue with the small chart.
    pub(crate) async fn open_sale(&self) -> Performance {
        let venue = made(self.catalog.add_venue(fixtures::venue(fixtures::small_chart()), None).await);
        let concert = made(self.catalog.add_concert(fixtures::concert(), None).await);
        let performance = fixtures::performance(concert.id, venue.id);
        made(self.catalog.add_performance(performance, None, None).await)
    }

    /// Adds a copy of a performance with a queue.
    pub(crate) async fn open_queue(&self, like: &Performance, queue: Queue) -> Performance {
        let performance = Performance { id: fixtures::id(), has_queue: true, ..like.clone() };
        made(self.catalog.add_performance(performance, Some(queue), None).await)
    }

    /// Places a hold that must succeed, and returns its request.
    pub(crate) async fn place(&self, hold: &Reservation) -> RequestKey {
        let request = fixtures::request(hold.user);
        let placed = made(self.reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request).await);
        assert_eq!(&placed, hold);
        request
    }

    /// Credits a wallet.
    pub(crate) async fn top_up(&self, user: UserId, amount: Money) -> WalletEntry {
        made(self.wallets.top_up(fixtures::top_up(user, amount), fixtures::request(user)).await)
    }

    /// Places a hold, tops up the wallet with its total and pays it.
    pub(crate) async fn buy(&self, hold: &Reservation) -> Payment {
        self.place(hold).await;
        self.top_up(hold.user, hold.total).await;
        let plan = fixtures::payment(hold, hold.held_at);
        made(self.payments.pay_from_wallet(plan, fixtures::request(hold.user)).await).payment
    }

    /// The reservation as it is stored.
    pub(crate) async fn stored(&self, hold: &Reservation) -> Option<Reservation> {
        self.reservations.find(hold.id).await.expect("the store answers")
    }

    /// All balances of a user.
    pub(crate) async fn balances(&self, user: UserId) -> Vec<Money> {
        self.wallets.balances(user).await.expect("the store answers")
    }

    /// Makes all events readable.
    pub(crate) async fn close_window(&self) {
        self.outbox.close_window().await.expect("the store answers");
    }

    /// The identities of all events so far.
    pub(crate) async fn events(&self) -> Vec<EventIdentity> {
        self.records().await.into_iter().map(|record| (record.id, record.kind, record.key)).collect()
    }

    /// All events so far.
    pub(crate) async fn read_events(&self) -> Vec<Event> {
        self.records().await.into_iter().map(|record| record.event.expect("a readable event")).collect()
    }

    async fn records(&self) -> Vec<OutboxRecord> {
        self.close_window().await;
        self.outbox.after(OutboxPlace::default(), 1_000).await.expect("the store answers").records
    }
}
