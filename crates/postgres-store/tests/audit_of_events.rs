//! The audit reports events of payments by card, and of what happens to a performance once, that are missing or of no change.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use encore_domain::audit::Promise;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::event::QueueOpening;
use encore_domain::ids::{PaymentId, PerformanceId};
use encore_domain::payment::attempt::{Outcome, Step};
use encore_domain::payment::card::Purpose;
use encore_domain::payment::card_change::{CardChange, CardChangeIds, Change, TakeUp};
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::gateway::{FailureReason, MethodToken};
use encore_domain::payment::refund::OperatorReason;
use encore_domain::ports::{Audit, CardPayments, Catalog, Reservations, Users};
use encore_domain::wallet::TransferIds;
use encore_port_tests::fixtures::{self, at_secs, hold, id, queue, queue_settings, request, start};
use encore_postgres_store::scratch::ScratchDatabase;
use encore_postgres_store::{
    Database, PostgresAudit, PostgresCardPayments, PostgresCatalog, PostgresReservations, PostgresUsers,
};

/// A cancelled performance, of which seats were paid at the second attempt, and whose charge was disputed.
struct Fixture {
    scratch: ScratchDatabase,
    audit: PostgresAudit,
    performance: PerformanceId,
    payment: PaymentId,
}

fn change(what: Change, at: u64) -> CardChange {
    let transfers = [(); 2].map(|()| TransferIds { transfer: id(), wallet_entry: id(), counter_entry: id() });
    CardChange { what, at: at_secs(at), ids: CardChangeIds { refund: id(), transfers } }
}

async fn fixture() -> Fixture {
    let scratch = common::scratch().await;
    let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
    let catalog = PostgresCatalog::new(database.clone());
    let fan = fixtures::account();
    let user = fan.user.id;
    PostgresUsers::new(database.clone()).create(fan, None).await.expect("a fan");
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    catalog.add_venue(venue.clone(), None).await.expect("a venue");
    catalog.add_concert(concert.clone(), None).await.expect("a concert");
    let sale = Performance { has_queue: true, ..fixtures::performance(concert.id, venue.id) };
    catalog.add_performance(sale.clone(), Some(queue(queue_settings())), None).await.expect("a performance");
    let opening = QueueOpening { performance: sale.id, opened_at: start(), calls_from: start(), at: start() };
    assert!(catalog.note_opening(opening).await.expect("noted"));
    let hold = hold(user, &sale, &[0]);
    let reservations = PostgresReservations::new(database.clone());
    reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request(user)).await.expect("placed");

    let cards = PostgresCardPayments::new(database.clone());
    let payment: PaymentId = id();
    let plan = |revision, at| CardPlan {
        payment,
        user,
        purpose: Purpose::Seats { reservation: hold.id, performance: sale.id },
        amount: hold.total,
        attempt: id(),
        method: MethodToken::parse("card").expect("a token"),
        token: None,
        revision,
        at: at_secs(at),
        lease_until: at_secs(at),
    };
    let apply = async |what, at| {
        cards.apply(payment, change(what, at), TakeUp::Due(None)).await.expect("the database is available");
    };
    let report = |step, outcome| Change::Report(vec![(step, outcome)]);
    cards.start(plan(0, 1), request(user)).await.expect("begun");
    apply(report(Step::Authorize, Outcome::Failed(FailureReason::Declined)), 2).await;
    cards.start(plan(2, 3), request(user)).await.expect("begun again");
    apply(report(Step::Authorize, Outcome::Succeeded), 4).await;
    apply(Change::Confirm, 5).await;
    apply(report(Step::Capture, Outcome::Succeeded), 6).await;
    apply(report(Step::Dispute, Outcome::Unknown), 7).await;
    apply(report(Step::Dispute, Outcome::Succeeded), 8).await;
    let reason = OperatorReason::parse("the singer is ill").expect("a reason");
    let act = fixtures::act(request(user));
    assert!(catalog.note_cancellation(sale.id, reason, act).await.expect("noted"));
    Fixture { scratch, audit: PostgresAudit::new(database), performance: sale.id, payment }
}

impl Fixture {
    async fn found(&self, scope: Option<PerformanceId>) -> Vec<(Promise, String)> {
        let report = self.audit.sweep(scope).await.expect("the database is available");
        report.findings().map(|finding| (finding.promise, finding.subject.clone())).collect()
    }
}

#[tokio::test]
async fn every_event_is_matched_with_its_change() {
    let fixture = fixture().await;
    let (payment, performance) = (fixture.payment, fixture.performance);
    assert_eq!(fixture.found(None).await, []);
    let events = [
        format!("payment.failed/{payment}/1"),
        format!("payment.authorized/{payment}/2"),
        format!("payment.captured/{payment}/2"),
        format!("payment.disputed/{payment}/1"),
        format!("payment.dispute_closed/{payment}/1"),
        format!("queue.opened/{performance}"),
        format!("catalog.performance_cancelled/{performance}"),
    ];
    let mut conn =
        AsyncPgConnection::establish(&fixture.scratch.url()).await.expect("the database accepts connections");
    for event in &events {
        let expected = [(Promise::OutboxGap, format!("event {event}"))];
        let hide = format!("UPDATE outbox SET key = '{payment}' WHERE event_id = '{event}'");
        conn.batch_execute(&hide).await.expect("its key is another one");
        assert_eq!(fixture.found(Some(performance)).await, expected);
        let found = fixture.found(None).await;
        assert_eq!(found, [expected.clone(), expected].concat(), "a change without it, and it without a change");
        let restore = format!("UPDATE outbox SET key = '{performance}' WHERE event_id = '{event}'");
        conn.batch_execute(&restore).await.expect("its key is as before");
    }
    assert_eq!(fixture.found(None).await, []);
}
