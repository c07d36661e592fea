//! Stores with fans who are told by mail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use encore_domain::booking::Reservation;
use encore_domain::catalog::Performance;
use encore_domain::error::Unavailable;
use encore_domain::ids::UserId;
use encore_domain::mail::Mail;
use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card::Purpose;
use encore_domain::payment::card_change::{CardChange, CardChangeIds, Change, TakeUp};
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::gateway::{FailureReason, MethodToken};
use encore_domain::payment::withdrawal::WithdrawalPlan;
use encore_domain::ports::Mailer;
use encore_domain::wallet::TransferIds;
use encore_events::{Notifier, NotifierParts};
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::world::{embedded_ports, variable};
use tokio_util::sync::CancellationToken;

/// Keeps mails. It can refuse those to some addresses: for good, or for now.
#[derive(Default)]
pub(crate) struct TestMailer {
    pub(crate) sent: Mutex<Vec<Mail>>,
    refusals: Mutex<HashMap<String, Refusal>>,
}

#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    ForGood,
    ForNow,
}

#[async_trait]
impl Mailer for TestMailer {
    async fn send(&self, mail: &Mail) -> Result<(), Unavailable> {
        match self.refusals.lock().expect("not poisoned").get(mail.to.as_str()) {
            Some(Refusal::ForGood) => Err(Unavailable::defect("mail", "there is no such mailbox")),
            Some(Refusal::ForNow) => Err(Unavailable::new("mail", "try again later")),
            None => {
                self.sent.lock().expect("not poisoned").push(mail.clone());
                Ok(())
            }
        }
    }
}

pub(crate) struct Bench {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) ports: Ports,
    pub(crate) mailer: Arc<TestMailer>,
    pub(crate) performance: Performance,
    _database: Option<ScratchDatabase>,
}

impl Bench {
    async fn on(clock: Arc<TestClock>, ports: Ports, database: Option<ScratchDatabase>) -> Self {
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        let performance = fixtures::performance(concert.id, venue.id);
        ports.catalog.add_venue(venue, None).await.expect("a venue");
        ports.catalog.add_concert(concert, None).await.expect("a concert");
        ports.catalog.add_performance(performance.clone(), None, None).await.expect("a performance");
        Self { clock, ports, mailer: Arc::default(), performance, _database: database }
    }

    pub(crate) async fn embedded() -> Self {
        let clock = Arc::new(TestClock::default());
        Self::on(Arc::clone(&clock), embedded_ports(clock), None).await
    }

    /// On the embedded stores, and on Postgres.
    pub(crate) async fn both() -> [Self; 2] {
        let embedded = Self::embedded().await;
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let clock = Arc::new(TestClock::default());
        let ports = embedded_ports(Arc::clone(&clock)).on_postgres(&database.config()).await;
        [embedded, Self::on(clock, ports.expect("Postgres is available"), Some(database)).await]
    }

    pub(crate) fn notifier(&self) -> Notifier {
        let Ports { outbox, notifier_cursor, notifications, users, reservations, catalog, clock, ids, .. } =
            self.ports.clone();
        let (cursor, mailer) = (notifier_cursor, Arc::clone(&self.mailer) as Arc<dyn Mailer>);
        Notifier::new(NotifierParts { outbox, cursor, notifications, users, reservations, catalog, mailer, clock, ids })
    }

    /// A new fan with an address.
    pub(crate) async fn fan(&self) -> (UserId, String) {
        let account = fixtures::account();
        let (fan, email) = (account.user.id, account.user.email.as_str().to_owned());
        self.ports.users.add_all(vec![account]).await.expect("a user");
        (fan, email)
    }

    /// Holds a seat and pays it.
    pub(crate) async fn buy(&self, fan: UserId, seat: usize) -> Reservation {
        self.buy_of(&self.performance, fan, seat).await
    }

    /// Holds a seat of a performance and pays it.
    pub(crate) async fn buy_of(&self, performance: &Performance, fan: UserId, seat: usize) -> Reservation {
        let hold = fixtures::hold(fan, performance, &[seat]);
        let request = || fixtures::request(fan);
        self.ports.reservations.place(hold.clone(), 6, None, request()).await.expect("a hold");
        self.ports.wallets.top_up(fixtures::top_up(fan, hold.total), request()).await.expect("money");
        let plan = fixtures::payment(&hold, hold.held_at);
        self.ports.payments.pay_from_wallet(plan, request()).await.expect("a payment");
        self.ports.outbox.close_window().await.expect("the store answers");
        hold
    }

    /// Tops up a wallet by card, and withdraws it to the card, which takes the money and sends it back later.
    pub(crate) async fn withdraw_in_vain(&self, fan: UserId) {
        let (cards, payment) = (&self.ports.card_payments, fixtures::id());
        let ids =
            || TransferIds { transfer: fixtures::id(), wallet_entry: fixtures::id(), counter_entry: fixtures::id() };
        let at = fixtures::start();
        let plan = CardPlan {
            payment,
            user: fan,
            purpose: Purpose::TopUp,
            amount: fixtures::euros(700),
            attempt: fixtures::id(),
            method: MethodToken::parse("card").expect("a token"),
            token: None,
            revision: 0,
            at,
            lease_until: at,
        };
        cards.start(plan, fixtures::request(fan)).await.expect("begun");
        let apply = async |what| {
            let change =
                CardChange { what, at, ids: CardChangeIds { refund: fixtures::id(), transfers: [ids(), ids()] } };
            cards.apply(payment, change, TakeUp::Due(None)).await.expect("the store answers");
        };
        apply(Change::Report(vec![(Step::Capture, Outcome::Succeeded)])).await;
        apply(Change::Confirm).await;
        let parts = std::array::from_fn(|_| (fixtures::id(), ids()));
        let plan = WithdrawalPlan { user: fan, amount: fixtures::euros(700), parts, at };
        let withdrawn = self.ports.withdrawals.withdraw(plan, fixtures::request(fan)).await.expect("withdrawn");
        let refund = Step::Refund(withdrawn.into_inner()[0].id);
        apply(Change::Report(vec![(refund, Outcome::Succeeded)])).await;
        apply(Change::Report(vec![(refund, Outcome::Failed(FailureReason::RefundRefused))])).await;
        self.ports.outbox.close_window().await.expect("the store answers");
    }

    /// Another performance at the same venue.
    pub(crate) async fn other_performance(&self) -> Performance {
        let performance = Performance { id: fixtures::id(), ..self.performance.clone() };
        self.ports.catalog.add_performance(performance.clone(), None, None).await.expect("a performance");
        performance
    }

    /// Writes events of which nobody is told.
    pub(crate) async fn top_up(&self, fan: UserId, times: usize) {
        for _ in 0..times {
            let top_up = fixtures::top_up(fan, fixtures::euros(1));
            self.ports.wallets.top_up(top_up, fixtures::request(fan)).await.expect("money");
        }
        self.ports.outbox.close_window().await.expect("the store answers");
    }

    pub(crate) fn refuse(&self, email: &str, refusal: Option<Refusal>) {
        let mut refusals = self.mailer.refusals.lock().expect("not poisoned");
        match refusal {
            Some(refusal) => refusals.insert(email.to_owned(), refusal),
            None => refusals.remove(email),
        };
    }

    /// To whom mails were sent, in any order.
    pub(crate) fn told(&self) -> Vec<String> {
        let sent = self.mailer.sent.lock().expect("not poisoned");
        let mut told: Vec<String> = sent.iter().map(|mail| mail.to.as_str().to_owned()).collect();
        told.sort_unstable();
        told
    }
}

pub(crate) async fn step(notifier: &Notifier) -> Result<(), Unavailable> {
    notifier.step(&CancellationToken::new()).await
}

pub(crate) fn sorted<const N: usize>(emails: [&String; N]) -> Vec<String> {
    let mut emails: Vec<String> = emails.into_iter().cloned().collect();
    emails.sort_unstable();
    emails
}
