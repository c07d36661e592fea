use uuid::Uuid;

use super::*;
use crate::catalog::{OnSaleWindow, PriceList};
use crate::ids::{ConcertId, VenueId};
use crate::money::Currency;

const HOUR: Duration = Duration::from_hours(1);

fn hours(hours: u32) -> Timestamp {
    Timestamp::UNIX_EPOCH + HOUR * hours
}

fn currency(code: &str) -> Currency {
    Currency::parse(code).expect("a currency")
}

/// On sale from hour 10 to hour 20, and played at hour 30. The second grade is not for sale.
fn performance() -> Performance {
    Performance {
        id: PerformanceId(Uuid::from_u128(1)),
        concert: ConcertId(Uuid::from_u128(2)),
        venue: VenueId(Uuid::from_u128(3)),
        starts_at: hours(30),
        on_sale: OnSaleWindow { opens_at: hours(10), closes_at: hours(20) },
        prices: PriceList { currency: currency("EUR"), minor_by_grade: vec![Some(100), None, Some(300)] },
        seats_per_fan: 4,
        hold_for: Duration::from_mins(5),
        has_queue: false,
        amended: Amendments::default(),
    }
}

fn reason() -> OperatorReason {
    OperatorReason::parse("illness").expect("a reason")
}

fn postpone(starts_at: Timestamp, refunds_until: Timestamp) -> PerformanceChange {
    PerformanceChange::Postpone(Postponement { starts_at, refunds_until, reason: reason() })
}

fn broken(refused: Result<Performance, ChangeRefusal>) -> Vec<String> {
    match refused {
        Err(ChangeRefusal::Invalid(broken)) => broken.into_iter().map(|broken| broken.field).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_postponed_performance_remembers_its_first_start() {
    let once = postpone(hours(40), hours(35)).apply(&performance(), hours(29)).expect("it can be postponed");
    let postponed = Postponed { from: hours(30), at: hours(29), refunds_until: hours(35) };
    let amended = Amendments { revision: 1, postponed: Some(postponed), withdrawn_at: None };
    assert_eq!(once, Performance { starts_at: hours(40), amended, ..performance() });
    let again = postpone(hours(50), hours(50)).apply(&once, hours(31)).expect("it can be postponed again");
    assert_eq!((again.starts_at, again.amended.revision), (hours(50), 2));
    let postponed = Postponed { from: hours(30), at: hours(31), refunds_until: hours(50) };
    assert_eq!(again.amended.postponed, Some(postponed));
}

#[test]
fn it_is_postponed_to_later_and_refunds_end_before_it_starts() {
    let at = hours(29);
    for (starts_at, refunds_until, fields) in [
        (hours(30), hours(30), vec!["starts_at"]),
        (hours(28), hours(28), vec!["starts_at", "starts_at", "refunds_until"]),
        (hours(40), hours(29), vec!["refunds_until"]),
        (hours(40), hours(41), vec!["refunds_until"]),
    ] {
        assert_eq!(broken(postpone(starts_at, refunds_until).apply(&performance(), at)), fields, "{starts_at}");
    }
    // It was announced too late, after it should have begun.
    postpone(hours(40), hours(40)).apply(&performance(), hours(31)).expect("it can be postponed");
}

#[test]
fn fans_keep_the_time_for_refunds_that_they_were_told() {
    let once = postpone(hours(40), hours(35)).apply(&performance(), hours(29)).expect("it can be postponed");
    assert_eq!(broken(postpone(hours(50), hours(34)).apply(&once, hours(32))), ["refunds_until"]);
    postpone(hours(50), hours(36)).apply(&once, hours(35)).expect("what they were told has passed");
}

#[test]
fn what_was_held_before_is_refunded_in_full_until_the_time_that_was_told() {
    let postponed = postpone(hours(40), hours(35)).apply(&performance(), hours(29)).expect("it can be postponed");
    let earlier = hours(29) - Duration::from_millis(1);
    assert!(postponed.refunds_in_full(earlier, hours(35) - Duration::from_millis(1)));
    assert!(!postponed.refunds_in_full(earlier, hours(35)), "it is too late");
    assert!(!postponed.refunds_in_full(hours(29), hours(30)), "it was held afterwards");
    assert!(!performance().refunds_in_full(earlier, hours(30)), "nothing was postponed");
}

#[test]
fn terms_that_are_not_set_stay() {
    let price = Money { minor: 90, currency: currency("EUR") };
    let terms = SaleTerms { prices: vec![(0, price)], seats_per_fan: Some(2), ..SaleTerms::default() };
    let after = PerformanceChange::Terms(terms).apply(&performance(), hours(12)).expect("it can be changed");
    let mut expected = Performance { seats_per_fan: 2, ..performance() };
    expected.prices.minor_by_grade[0] = Some(90);
    expected.amended.revision = 1;
    assert_eq!(after, expected);
    let nothing = PerformanceChange::Terms(SaleTerms { seats_per_fan: Some(4), ..SaleTerms::default() });
    assert_eq!(nothing.apply(&performance(), hours(12)), Ok(performance()));
}

#[test]
fn a_sale_opens_closes_and_costs_only_what_can_work() {
    let before_opening = hours(9);
    let fixed = hours(10) - OPENING_FIXED_BEFORE;
    let opening = |at: u32| SaleTerms { opens_at: Some(hours(at)), ..SaleTerms::default() };
    let closing = |at: u32| SaleTerms { closes_at: Some(hours(at)), ..SaleTerms::default() };
    let price = |grade, code| (grade, Money { minor: 1, currency: currency(code) });
    let priced = |prices| SaleTerms { prices, ..SaleTerms::default() };
    let in_pre_queue = SaleTerms { pre_queue_opens_at: Some(hours(11)), ..opening(11) };
    for (terms, at, fields) in [
        (opening(8), before_opening, vec!["on_sale_opens_at"]),
        (opening(20), before_opening, vec!["on_sale_opens_at"]),
        (opening(11), fixed, vec!["on_sale_opens_at"]),
        (in_pre_queue, before_opening, vec!["on_sale_opens_at"]),
        (closing(9), before_opening, vec!["on_sale_closes_at", "on_sale_closes_at"]),
        (closing(10), before_opening, vec!["on_sale_closes_at"]),
        (closing(31), before_opening, vec!["on_sale_closes_at"]),
        (priced(vec![price(1, "EUR")]), before_opening, vec!["prices[0].grade"]),
        (priced(vec![price(0, "EUR"), price(2, "USD")]), before_opening, vec!["prices[1].price.currency_code"]),
    ] {
        let refused = PerformanceChange::Terms(terms.clone()).apply(&performance(), at);
        assert_eq!(broken(refused), fields, "{terms:?}");
    }
    for (terms, at) in [(opening(11), before_opening), (closing(30), hours(12)), (closing(25), hours(22))] {
        PerformanceChange::Terms(terms).apply(&performance(), at).expect("it can work");
    }
}

#[test]
fn what_is_withdrawn_is_not_on_sale_and_does_not_change() {
    let withdraw = PerformanceChange::Withdraw(BlockedSale { blocks: vec![], reason: reason() });
    let withdrawn = withdraw.apply(&performance(), hours(12)).expect("it can be withdrawn");
    assert_eq!((withdrawn.amended.withdrawn_at, withdrawn.amended.revision), (Some(hours(12)), 1));
    assert_eq!(withdrawn.check_on_sale(hours(13)), Err(NotOnSale::Over { closed_at: hours(12) }));
    assert_eq!(performance().check_on_sale(hours(13)), Ok(()));
    assert_eq!(withdraw.apply(&withdrawn, hours(14)).as_ref(), Ok(&withdrawn));
    let refused = postpone(hours(40), hours(40)).apply(&withdrawn, hours(14));
    assert_eq!(refused, Err(ChangeRefusal::Withdrawn { at: hours(12) }));
}
