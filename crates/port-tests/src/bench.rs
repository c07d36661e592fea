//! What a case runs on, and the steps that many cases begin with.

use std::any::Any;
use std::sync::Arc;

use encore_domain::booking::Reservation;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::event::Event;
use encore_domain::ids::UserId;
use encore_domain::money::Money;
use encore_domain::payment::Payment;
use encore_domain::ports::{
    Audit, Catalog, Draws, Outbox, Payments, QueueRecords, QueueStore, Reservations, SeatBlocks, SeatChanges,
    SeatLocks, SeenRequests, Users, Wallets,
};
use encore_domain::queue::Queue;
use encore_domain::request::RequestKey;
use encore_domain::wallet::WalletEntry;
use uuid::Uuid;

use crate::answers::made;
use crate::fixtures;

/// A fresh store of facts: its ports see what the others wrote.
pub struct RecordBench {
    /// The port under test, or what it builds on.
    pub users: Arc<dyn Users>,
    /// The port under test, or what it builds on.
    pub catalog: Arc<dyn Catalog>,
    /// The port under test.
    pub queue_records: Arc<dyn QueueRecords>,
    /// The port under test.
    pub draws: Arc<dyn Draws>,
    /// The port under test, or what it builds on.
    pub reservations: Arc<dyn Reservations>,
    /// The port under test.
    pub seat_blocks: Arc<dyn SeatBlocks>,
    /// The port under test, or what it builds on.
    pub wallets: Arc<dyn Wallets>,
    /// The port under test, or what it builds on.
    pub payments: Arc<dyn Payments>,
    /// The port under test, or what shows the events of the others.
    pub outbox: Arc<dyn Outbox>,
    /// The port under test.
    pub audit: Arc<dyn Audit>,
    /// What must live as long as the case, and may clean up when dropped.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// A fresh store of live state.
pub struct SpeedBench {
    /// The port under test.
    pub seat_locks: Arc<dyn SeatLocks>,
    /// The port under test; it tells what becomes of the seats.
    pub seat_changes: Arc<dyn SeatChanges>,
    /// The port under test.
    pub queues: Arc<dyn QueueStore>,
    /// The port under test.
    pub seen_requests: Arc<dyn SeenRequests>,
    /// What must live as long as the case, and may clean up when dropped.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// An event as the outbox tells it: id, kind and key.
pub type Told = (String, String, Uuid);

/// What the outbox should tell of an event.
pub fn told(event: &Event) -> Told {
    (event.id(), event.kind().to_owned(), event.key())
}

impl RecordBench {
    /// Adds a fan.
    pub(crate) async fn sign_up(&self) -> UserId {
        let account = fixtures::account();
        made(self.users.create(account, None).await).user.id
    }

    /// Adds a performance in a venue with the small chart, and everything that it refers to.
    pub(crate) async fn open_sale(&self) -> Performance {
        let venue = made(self.catalog.add_venue(fixtures::venue(fixtures::small_chart()), None).await);
        let concert = made(self.catalog.add_concert(fixtures::concert(), None).await);
        let performance = fixtures::performance(concert.id, venue.id);
        made(self.catalog.add_performance(performance, None, None).await)
    }

    /// Adds a performance like another, with a queue.
    pub(crate) async fn open_queue(&self, like: &Performance, queue: Queue) -> Performance {
        let performance = Performance { id: fixtures::id(), has_queue: true, ..like.clone() };
        made(self.catalog.add_performance(performance, Some(queue), None).await)
    }

    /// Places a hold that nothing stands against, and says under which request.
    pub(crate) async fn place(&self, hold: &Reservation) -> RequestKey {
        let request = fixtures::request(hold.user);
        let placed = made(self.reservations.place(hold.clone(), SEATS_PER_FAN_MAX, request).await);
        assert_eq!(&placed, hold);
        request
    }

    /// Credits a wallet.
    pub(crate) async fn top_up(&self, user: UserId, amount: Money) -> WalletEntry {
        made(self.wallets.top_up(fixtures::top_up(user, amount), fixtures::request(user)).await)
    }

    /// Places a hold and pays it at once, from money that it brings.
    pub(crate) async fn buy(&self, hold: &Reservation) -> Payment {
        self.place(hold).await;
        self.top_up(hold.user, hold.total).await;
        let plan = fixtures::payment(hold, hold.held_at);
        made(self.payments.pay_from_wallet(plan, fixtures::request(hold.user)).await)
    }

    /// The reservation as the store knows it.
    pub(crate) async fn stored(&self, hold: &Reservation) -> Option<Reservation> {
        self.reservations.find(hold.id).await.expect("the store answers")
    }

    /// All balances of a user.
    pub(crate) async fn balances(&self, user: UserId) -> Vec<Money> {
        self.wallets.balances(user).await.expect("the store answers")
    }

    /// All events so far.
    pub(crate) async fn events(&self) -> Vec<Told> {
        let records = self.outbox.after(0, 1_000).await.expect("the store answers");
        assert!(records.is_sorted_by(|a, b| a.sequence < b.sequence), "in order: {records:?}");
        records.into_iter().map(|record| (record.id, record.kind, record.key)).collect()
    }
}
