//! The deadlines of holds, and what ends a queue token.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use encore_domain::booking::hold_change::{ExtendRefusal, Extension};
use encore_domain::booking::{HoldTerms, Reservation, ReservationState};
use encore_domain::catalog::performance_change::Amendments;
use encore_domain::catalog::{NotOnSale, OnSaleWindow, Performance, PriceList};
use encore_domain::ids::{
    ConcertId, EntryId, PaymentId, PerformanceId, RequestId, ReservationId, TransferId, UserId, VenueId,
};
use encore_domain::money::{Currency, Money};
use encore_domain::payment::plan_wallet_payment;
use encore_domain::queue::QueueTokenPayload;
use encore_domain::request::{DIGEST_LEN, Fingerprint, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::wallet::TransferIds;
use uuid::Uuid;

const FAN: UserId = UserId(Uuid::from_u128(1));
const HOLD_FOR: Duration = Duration::from_mins(7);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_timestamp(secs, 0).expect("in range")
}

fn euros() -> Currency {
    Currency::parse("EUR").expect("a currency")
}

/// A performance whose sale opens at 0. The show begins after ten minutes.
fn soon() -> Performance {
    Performance {
        id: PerformanceId(Uuid::from_u128(2)),
        concert: ConcertId(Uuid::from_u128(3)),
        venue: VenueId(Uuid::from_u128(4)),
        starts_at: at(600),
        on_sale: OnSaleWindow { opens_at: at(0), closes_at: at(600) },
        prices: PriceList { currency: euros(), minor_by_grade: vec![Some(5_000)] },
        seats_per_fan: 4,
        hold_for: HOLD_FOR,
        has_queue: true,
        amended: Amendments::default(),
    }
}

/// A hold of that performance, placed at 0.
fn placed() -> Reservation {
    Reservation {
        id: ReservationId(Uuid::from_u128(5)),
        user: FAN,
        performance: soon().id,
        seats: vec![],
        total: Money { minor: 0, currency: euros() },
        state: ReservationState::Held,
        held_at: at(0),
        expires_at: at(0) + HOLD_FOR,
        settled_at: None,
        payment: None,
        cancelled_at: None,
        revision: 0,
    }
}

#[test]
fn a_hold_ends_with_the_token_and_when_the_show_begins() {
    let (performance, digest) = (soon(), [0; DIGEST_LEN]);
    let fingerprint = Fingerprint::new(digest, digest);
    let request = RequestKey { user: FAN, id: RequestId(Uuid::from_u128(6)), fingerprint };
    let deadline =
        |now, token_until| HoldTerms::new(&performance, &request, now).expect("on sale").within(token_until).expires_at;
    assert_eq!(deadline(at(0), None), at(420));
    assert_eq!(deadline(at(0), Some(at(300))), at(300));
    assert_eq!(deadline(at(0), Some(at(500))), at(420));
    assert_eq!(deadline(at(300), None), at(600));
    assert_eq!(deadline(at(300), Some(at(900))), at(600));
    let over = HoldTerms::new(&performance, &request, at(600)).expect_err("the sale is over");
    assert_eq!(over, NotOnSale::Over { closed_at: at(600) });
}

#[test]
fn an_extension_ends_when_the_show_begins() {
    let extend = |hold: &Reservation, now, token_until| {
        Extension { hold_for: HOLD_FOR, starts_at: soon().starts_at, token_until }.of(hold, now)
    };
    let deadline = |now, token_until| extend(&placed(), now, token_until).expect("live").expires_at;
    assert_eq!(deadline(at(60), None), at(480));
    assert_eq!(deadline(at(300), None), at(600));
    assert_eq!(deadline(at(300), Some(at(580))), at(580));
    let extended = extend(&placed(), at(300), None).expect("live");
    let refusal = extend(&extended, at(599), None).expect_err("the show begins");
    assert_eq!(refusal, ExtendRefusal::AtLimit { expires_at: at(600) });
}

#[test]
fn a_payment_ends_its_token_unless_another_hold_is_live() {
    let (performance, user) = (soon().id, FAN);
    let token = QueueTokenPayload {
        performance,
        user,
        epoch: 1,
        lane: 0,
        index: 1,
        issued_at: at(0),
        needs_accessible: false,
        admitted_until: None,
    };
    let plan = |payload| {
        let entry = |id| EntryId(Uuid::from_u128(id));
        let transfer = TransferId(Uuid::from_u128(8));
        let ids = TransferIds { transfer, wallet_entry: entry(9), counter_entry: entry(10) };
        plan_wallet_payment(&placed(), PaymentId(Uuid::from_u128(7)), ids, payload, at(1))
    };
    assert_eq!(plan(Some(token)).ended_token(false), Some(token));
    assert_eq!(plan(Some(token)).ended_token(true), None);
    assert_eq!(plan(None).ended_token(false), None);
}
