//! Concurrent holds are written together, and the failure of one does not affect the others. So are fans who leave.
#![expect(clippy::expect_used, reason = "tests")]

mod common;
#[path = "common/sale.rs"]
mod sale;

use diesel_async::SimpleAsyncConnection;
use encore_domain::booking::{Claim, Reservation};
use encore_domain::catalog::SEATS_PER_FAN_MAX;
use encore_domain::error::RequestError;
use encore_domain::ids::ReservationId;
use encore_domain::ports::{PlaceRefusal, Reservations};
use encore_domain::queue::QueueTokenPayload;
use encore_domain::request::{Applied, RequestKey};
use encore_port_tests::fixtures::{self, altered, hold, request, slots};
use futures::future::join_all;

use self::sale::Sale;

type Answer = Result<Applied<Reservation>, RequestError<PlaceRefusal>>;

impl Sale {
    /// Places all of them in one batch: the runtime has one thread, which starts the batch when all calls wait.
    async fn place_together(&self, placements: &[(Reservation, RequestKey)], limit: u32) -> Vec<Answer> {
        join_all(placements.iter().map(|(hold, request)| self.reservations.place(hold.clone(), limit, None, *request)))
            .await
    }

    async fn claimed_by(&self, seat: usize) -> Option<ReservationId> {
        let claims =
            self.reservations.claims_on(self.performance.id, &slots(&[seat])).await.expect("the database is available");
        claims.into_iter().next().and_then(|claim| claim.owner.reservation())
    }
}

fn taken(answer: &Answer) -> &[encore_domain::catalog::seat_chart::Slot] {
    match answer {
        Err(RequestError::Refused(PlaceRefusal::SeatsTaken { slots })) => slots,
        other => panic!("the seats are not refused as taken: {other:?}"),
    }
}

fn placed(answer: &Answer) -> &Reservation {
    match answer {
        Ok(Applied::Now(placed)) => placed,
        other => panic!("the hold is not placed: {other:?}"),
    }
}

#[tokio::test]
async fn concurrent_holds_are_committed_in_one_transaction() {
    let sale = Sale::open().await;
    let mut placements = Vec::new();
    for seat in 0..26 {
        placements.push(sale.placement(&[seat]).await);
    }
    for (answer, (hold, _)) in sale.place_together(&placements, SEATS_PER_FAN_MAX).await.iter().zip(&placements) {
        assert_eq!(placed(answer), hold);
    }
    for table in ["claims", "reservations", "reservation_seats", "requests", "outbox"] {
        let of_holds = if table == "requests" { "WHERE operation = 'place_hold'" } else { "" };
        let rows = sale.count(&format!("SELECT count(*) FROM {table} {of_holds}")).await;
        let transactions =
            sale.count(&format!("SELECT count(DISTINCT xmin::text) AS count FROM {table} {of_holds}")).await;
        assert_eq!((rows, transactions), (26, 1), "{table}");
    }
}

#[tokio::test]
async fn fans_who_leave_at_once_leave_in_one_transaction_each_with_their_own_holds() {
    let sale = Sale::open().await;
    let mut placements = Vec::new();
    for seat in 0..20 {
        placements.push(sale.placement(&[seat]).await);
    }
    sale.place_together(&placements, SEATS_PER_FAN_MAX).await;
    let (staying, leaving) = placements.split_at(1);
    let leave = |(index, (hold, _)): (u64, &(Reservation, RequestKey))| {
        let token = QueueTokenPayload {
            performance: hold.performance,
            user: hold.user,
            epoch: 1,
            lane: 0,
            index,
            issued_at: hold.held_at,
            needs_accessible: false,
            admitted_until: None,
        };
        sale.reservations.leave(token, hold.held_at)
    };
    // The calls wait together; see `place_together`.
    let released = join_all((1..).zip(leaving).map(leave)).await;
    for (released, (hold, _)) in released.into_iter().zip(leaving) {
        let ids: Vec<ReservationId> = released.expect("the database is available").iter().map(|it| it.id).collect();
        assert_eq!(ids, [hold.id]);
    }
    assert_eq!(sale.claimed_by(0).await, Some(staying[0].0.id));
    assert_eq!(sale.count("SELECT count(*) FROM claims").await, 1);
    let ended = "SELECT count(DISTINCT xmin::text) AS count FROM ended_queue_tokens";
    assert_eq!(sale.count(ended).await, 1, "transactions of 19 leaves");
}

#[tokio::test]
async fn holds_of_a_batch_are_decided_in_order() {
    let sale = Sale::open().await;
    let before = sale.placement(&[0]).await;
    sale.place_together(std::slice::from_ref(&before), 2).await;
    let fan = before.0.user;
    let placements = [
        (before.0.clone(), before.1),
        (hold(fan, &sale.performance, &[1, 2]), request(fan)),
        sale.placement(&[3, 4]).await,
        sale.placement(&[2, 4, 0]).await,
        (hold(fan, &sale.performance, &[5]), request(fan)),
        (hold(fan, &sale.performance, &[6]), request(fan)),
        sale.placement(&[1, 2]).await,
        (hold(fan, &sale.performance, &[7]), altered(before.1)),
    ];
    let answers = sale.place_together(&placements, 2).await;
    assert!(matches!(&answers[0], Ok(Applied::Before(first)) if *first == before.0), "{:?}", answers[0]);
    let assert_over_limit = |answer: &Answer, owned: u32| {
        let refusal = PlaceRefusal::OverLimit { limit: 2, owned };
        assert!(matches!(answer, Err(RequestError::Refused(why)) if *why == refusal), "{answer:?}");
    };
    assert_over_limit(&answers[1], 1);
    assert_eq!(placed(&answers[2]), &placements[2].0);
    assert_eq!(taken(&answers[3]), slots(&[0, 4]), "one by a claim, one by an earlier hold of the batch");
    assert_eq!(placed(&answers[4]), &placements[4].0);
    assert_over_limit(&answers[5], 2);
    assert_eq!(placed(&answers[6]), &placements[6].0, "the refused hold took no seat");
    assert!(matches!(answers[7], Err(RequestError::Reused)), "in the next batch: {:?}", answers[7]);

    // The request of a refused hold is not recorded, so it may be used again.
    let (again, request) = (hold(placements[3].0.user, &sale.performance, &[8, 9]), placements[3].1);
    assert_eq!(placed(&sale.place_together(&[(again.clone(), request)], 2).await[0]), &again);
}

#[tokio::test]
async fn a_hold_that_cannot_be_written_fails_alone() {
    let sale = Sale::open().await;
    let mut negative_price = sale.placement(&[1]).await;
    negative_price.0.seats[0].price_minor = -1;
    let mut negative_total = sale.placement(&[2]).await;
    negative_total.0.total.minor = -1;
    let placements = [
        sale.placement(&[0]).await,
        negative_price,
        negative_total,
        sale.placement(&[3]).await,
        sale.placement(&[0]).await,
    ];
    let answers = sale.place_together(&placements, SEATS_PER_FAN_MAX).await;
    let winner = sale.claimed_by(0).await;
    for (contender, answer) in [0, 4].map(|at| (&placements[at].0, &answers[at])) {
        if winner == Some(contender.id) {
            assert_eq!(placed(answer), contender);
        } else {
            assert_eq!(taken(answer), slots(&[0]));
        }
    }
    assert_eq!(placed(&answers[3]), &placements[3].0);
    for invalid in &answers[1..=2] {
        assert!(matches!(invalid, Err(RequestError::Unavailable(_))), "{invalid:?}");
    }
    assert_eq!(sale.count("SELECT count(*) FROM claims").await, 2);
    assert_eq!(sale.count("SELECT count(*) FROM requests WHERE operation = 'place_hold'").await, 2);
}

#[tokio::test]
async fn a_claim_without_its_reservation_reads_as_sold_and_the_others_are_read() {
    let sale = Sale::open().await;
    let placement = sale.placement(&[0]).await;
    placed(&sale.place_together(std::slice::from_ref(&placement), SEATS_PER_FAN_MAX).await[0]);
    let (missing, performance, fan) = (fixtures::id::<ReservationId>(), sale.performance.id, placement.0.user);
    let slot = slots(&[1])[0].0;
    let damage = format!(
        "INSERT INTO claims (performance_id, slot, reservation_id, user_id) VALUES ('{performance}', {slot}, '{missing}', '{fan}')"
    );
    sale.connect().await.batch_execute(&damage).await.expect("a claim");
    assert_eq!((sale.claimed_by(0).await, sale.claimed_by(1).await), (Some(placement.0.id), Some(missing)));
    let claims = sale.reservations.claims(performance).await.expect("the claims are read");
    assert_eq!(
        claims,
        [
            Claim::held(slots(&[0])[0], placement.0.id, fan, placement.0.expires_at),
            Claim::sold(slots(&[1])[0], missing, fan)
        ]
    );
}

#[tokio::test]
async fn a_hold_whose_seat_is_claimed_concurrently_is_refused_alone() {
    let sale = Sale::open().await;
    let (rival, _) = sale.placement(&[1, 2]).await;
    let placements = [sale.placement(&[0]).await, sale.placement(&[1, 3]).await, sale.placement(&[4]).await];
    // A concurrent transaction has claimed seat 1 and has not committed.
    let slot = slots(&[1])[0].0;
    let (id, fan, performance) = (rival.id, rival.user, rival.performance);
    let mut other = sale.connect().await;
    let claim = format!(
        "BEGIN;
         INSERT INTO reservations (id, user_id, performance_id, total_minor, currency, state, held_at, expires_at)
         VALUES ('{id}', '{fan}', '{performance}', 0, 'EUR', 'held', '2026-06-01T10:00:00Z', '2026-06-01T10:05:00Z');
         INSERT INTO claims (performance_id, slot, reservation_id, user_id) VALUES ('{performance}', {slot}, '{id}', '{fan}')"
    );
    other.batch_execute(&claim).await.expect("claimed");
    let committing = async {
        while sale.count("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'").await == 0 {
            tokio::task::yield_now().await;
        }
        other.batch_execute("COMMIT").await.expect("committed");
    };
    let (answers, ()) = tokio::join!(sale.place_together(&placements, SEATS_PER_FAN_MAX), committing);
    assert_eq!(placed(&answers[0]), &placements[0].0);
    assert_eq!(taken(&answers[1]), slots(&[1]));
    assert_eq!(placed(&answers[2]), &placements[2].0);
    assert_eq!((sale.claimed_by(1).await, sale.claimed_by(3).await), (Some(rival.id), None));
}
