//! From events to the messages that say what happened.

use std::time::Duration;

use encore_domain::booking::seat_block::{SeatBlock, SeatUnblock};
use encore_domain::booking::{Reservation, ReservedSeat};
use encore_domain::catalog::performance_change::Postponed;
use encore_domain::catalog::seat_chart::{SeatChart, Slot};
use encore_domain::catalog::{Performance, PriceList};
use encore_domain::event::{Event, QueueChange, QueueOpening, StaffCause};
use encore_domain::identity::Role;
use encore_domain::ids::PerformanceId;
use encore_domain::money::Money;
use encore_domain::payment::refund::{CancelledBy, OperatorReason, Refund, RefundCause};
use encore_domain::payment::{Payment, PaymentMethod};
use encore_domain::queue::{Lane, QueueSettings};
use encore_domain::time::Timestamp;
use encore_proto::admin::v1 as admin;
use encore_proto::catalog::v1 as catalog;
use encore_proto::events::v1 as pb;
use encore_proto::events::v1::event::Data;
use encore_proto::identity::v1 as identity;

use crate::values::{money, timestamp};
use crate::{CannotEncode, payments};

/// What an event is about.
pub(crate) fn subject(event: &Event) -> String {
    match event {
        Event::HoldPlaced(reservation)
        | Event::HoldChanged { hold: reservation, .. }
        | Event::HoldReleased(reservation)
        | Event::HoldExpired(reservation)
        | Event::ReservationConfirmed { reservation, .. }
        | Event::SeatsCancelled { reservation, .. } => format!("reservations/{}", reservation.id),
        Event::SeatsBlocked(SeatBlock { id, .. }) | Event::SeatsUnblocked(SeatUnblock { id, .. }) => {
            format!("blocks/{id}")
        }
        Event::WalletToppedUp { entry, .. } | Event::WalletWithdrawn { entry, .. } => {
            format!("transfers/{}", entry.transfer)
        }
        Event::PaymentChanged(step) => format!("payments/{}", step.payment.id),
        Event::UserSignedUp { user, .. }
        | Event::UserEmailVerified { user, .. }
        | Event::UserDeleted { user, .. }
        | Event::UserRoleChanged { user, .. } => format!("users/{user}"),
        Event::PerformancePublished { performance, .. } | Event::PerformanceChanged { after: performance, .. } => {
            format!("performances/{}", performance.id)
        }
        Event::PerformanceCancelled { performance, .. }
        | Event::QueueOpened(QueueOpening { performance, .. })
        | Event::PerformancePostponed { performance, .. }
        | Event::PerformanceWithdrawn { performance, .. }
        | Event::QueueChanged { performance, .. } => format!("performances/{performance}"),
    }
}

/// What happened.
pub(crate) fn of(event: &Event, chart: Option<&SeatChart>) -> Result<Data, CannotEncode> {
    let at = Some(timestamp(event.at()));
    Ok(match event {
        Event::HoldPlaced(hold) => Data::HoldPlaced(pb::HoldPlaced { reservation: reservation(hold, chart)? }),
        Event::HoldChanged { hold, .. } => {
            Data::HoldChanged(pb::HoldChanged { reservation: reservation(hold, chart)?, changed_at: at })
        }
        Event::HoldReleased(hold) => {
            Data::HoldReleased(pb::HoldReleased { reservation: reservation(hold, chart)?, released_at: at })
        }
        Event::HoldExpired(hold) => {
            Data::HoldExpired(pb::HoldExpired { reservation: reservation(hold, chart)?, expired_at: at })
        }
        Event::ReservationConfirmed { reservation: confirmed, payment: paid } => {
            let reservation = reservation(confirmed, chart)?;
            Data::ReservationConfirmed(pb::ReservationConfirmed { reservation, payment: Some(payment(paid)) })
        }
        Event::SeatsCancelled { reservation: left, refund: given_back } => {
            let (reservation, refund) = (reservation(left, chart)?, Some(refund(given_back, chart)?));
            if given_back.is_whole {
                Data::ReservationCancelled(pb::ReservationCancelled { reservation, refund })
            } else {
                Data::SeatsCancelled(pb::SeatsCancelled { reservation, refund })
            }
        }
        Event::SeatsBlocked(block) => Data::SeatsBlocked(pb::SeatsBlocked {
            block_id: block.id.to_string(),
            performance_id: block.performance.to_string(),
            operator_id: block.operator.to_string(),
            reason: block.reason.as_str().to_owned(),
            seats: seats(&block.slots, chart)?,
            blocked_at: at,
        }),
        Event::SeatsUnblocked(unblock) => Data::SeatsUnblocked(pb::SeatsUnblocked {
            block_id: unblock.id.to_string(),
            performance_id: unblock.performance.to_string(),
            operator_id: unblock.operator.to_string(),
            seats: seats(&unblock.slots, chart)?,
            unblocked_at: at,
        }),
        Event::WalletToppedUp { user, entry } => Data::WalletToppedUp(pb::WalletToppedUp {
            user_id: user.to_string(),
            transfer_id: entry.transfer.to_string(),
            amount: Some(money(entry.amount)),
            payment_id: entry.payment.map(|id| id.to_string()).unwrap_or_default(),
            topped_up_at: at,
        }),
        Event::WalletWithdrawn { user, entry } => Data::WalletWithdrawn(pb::WalletWithdrawn {
            user_id: user.to_string(),
            transfer_id: entry.transfer.to_string(),
            amount: Some(money(Money { minor: -entry.amount.minor, ..entry.amount })),
            payment_id: entry.payment.map(|id| id.to_string()).unwrap_or_default(),
            refund_id: entry.refund.map(|id| id.to_string()).unwrap_or_default(),
            request_id: entry.request.map(|id| id.to_string()).unwrap_or_default(),
            withdrawn_at: at,
        }),
        Event::PaymentChanged(step) => payments::stepped(step),
        Event::UserSignedUp { user, request, .. } => Data::UserSignedUp(pb::UserSignedUp {
            user_id: user.to_string(),
            request_id: request.map(|id| id.to_string()).unwrap_or_default(),
            signed_up_at: at,
        }),
        Event::UserEmailVerified { user, .. } => {
            Data::UserEmailVerified(pb::UserEmailVerified { user_id: user.to_string(), verified_at: at })
        }
        Event::UserDeleted { user, .. } => {
            Data::UserDeleted(pb::UserDeleted { user_id: user.to_string(), deleted_at: at })
        }
        Event::UserRoleChanged { user, before, after, cause } => Data::UserRoleChanged(pb::UserRoleChanged {
            user_id: user.to_string(),
            previous_role: role(*before).into(),
            role: role(*after).into(),
            act: Some(act(cause)),
            changed_at: at,
        }),
        Event::PerformancePublished { performance, pre_queue_opens_at, cause } => {
            published(performance, pre_queue_opens_at.map(timestamp), cause, chart)?
        }
        Event::PerformanceCancelled { performance, reason, cause } => cancelled(*performance, reason, cause),
        Event::QueueOpened(opening) => queue_opened(opening),
        Event::PerformancePostponed { performance, before, starts_at, postponed: terms, reason, cause } => {
            postponed(*performance, (*before, *starts_at), terms, reason, cause)
        }
        Event::PerformanceChanged { before, after, cause } => terms_changed(before, after, cause, chart)?,
        Event::PerformanceWithdrawn { performance, reason, cause } => withdrawn(*performance, reason, cause),
        Event::QueueChanged { performance, change, settings, cause } => {
            queue_changed(*performance, *change, settings, cause)
        }
    })
}

fn published(
    it: &Performance,
    pre_queue_opens_at: Option<prost_types::Timestamp>,
    cause: &StaffCause,
    chart: Option<&SeatChart>,
) -> Result<Data, CannotEncode> {
    Ok(Data::PerformancePublished(pb::PerformancePublished {
        performance_id: it.id.to_string(),
        concert_id: it.concert.to_string(),
        venue_id: it.venue.to_string(),
        starts_at: Some(timestamp(it.starts_at)),
        on_sale_opens_at: Some(timestamp(it.on_sale.opens_at)),
        on_sale_closes_at: Some(timestamp(it.on_sale.closes_at)),
        prices: prices(&it.prices, chart)?,
        seats_per_fan: it.seats_per_fan,
        has_queue: it.has_queue,
        pre_queue_opens_at,
        act: Some(act(cause)),
        published_at: Some(timestamp(cause.at)),
    }))
}

fn cancelled(of: PerformanceId, reason: &OperatorReason, cause: &StaffCause) -> Data {
    Data::PerformanceCancelled(pb::PerformanceCancelled {
        performance_id: of.to_string(),
        reason: reason.as_str().to_owned(),
        act: Some(act(cause)),
        cancelled_at: Some(timestamp(cause.at)),
    })
}

fn postponed(
    of: PerformanceId,
    (before, starts_at): (Timestamp, Timestamp),
    terms: &Postponed,
    reason: &OperatorReason,
    cause: &StaffCause,
) -> Data {
    Data::PerformancePostponed(pb::PerformancePostponed {
        performance_id: of.to_string(),
        starts_at: Some(timestamp(starts_at)),
        previous_starts_at: Some(timestamp(before)),
        postponed_from: Some(timestamp(terms.from)),
        refunds_until: Some(timestamp(terms.refunds_until)),
        reason: reason.as_str().to_owned(),
        act: Some(act(cause)),
        postponed_at: Some(timestamp(cause.at)),
    })
}

fn withdrawn(of: PerformanceId, reason: &OperatorReason, cause: &StaffCause) -> Data {
    Data::PerformanceWithdrawn(pb::PerformanceWithdrawn {
        performance_id: of.to_string(),
        reason: reason.as_str().to_owned(),
        act: Some(act(cause)),
        withdrawn_at: Some(timestamp(cause.at)),
    })
}

fn queue_opened(it: &QueueOpening) -> Data {
    Data::QueueOpened(pb::QueueOpened {
        performance_id: it.performance.to_string(),
        opened_at: Some(timestamp(it.opened_at)),
        is_pre_queue: it.opened_at < it.calls_from,
        calls_from: Some(timestamp(it.calls_from)),
        noted_at: Some(timestamp(it.at)),
    })
}

fn terms_changed(
    before: &Performance,
    after: &Performance,
    cause: &StaffCause,
    chart: Option<&SeatChart>,
) -> Result<Data, CannotEncode> {
    Ok(Data::PerformanceChanged(pb::PerformanceChanged {
        performance_id: after.id.to_string(),
        before: Some(terms(before, after, chart)?),
        after: Some(terms(after, before, chart)?),
        act: Some(act(cause)),
        changed_at: Some(timestamp(cause.at)),
    }))
}

/// The terms in which a performance differs from another.
fn terms(of: &Performance, other: &Performance, chart: Option<&SeatChart>) -> Result<pb::SaleTerms, CannotEncode> {
    let (window, other_window) = (of.on_sale, other.on_sale);
    let changed = |(minor, other): (&Option<i64>, &Option<i64>)| minor.filter(|minor| Some(*minor) != *other);
    let minor_by_grade = of.prices.minor_by_grade.iter().zip(&other.prices.minor_by_grade).map(changed).collect();
    Ok(pb::SaleTerms {
        on_sale_opens_at: (window.opens_at != other_window.opens_at).then(|| timestamp(window.opens_at)),
        on_sale_closes_at: (window.closes_at != other_window.closes_at).then(|| timestamp(window.closes_at)),
        prices: prices(&PriceList { minor_by_grade, ..of.prices.clone() }, chart)?,
        seats_per_fan: (of.seats_per_fan != other.seats_per_fan).then_some(of.seats_per_fan),
        hold_duration: (of.hold_for != other.hold_for).then(|| duration(of.hold_for)),
    })
}

fn queue_changed(of: PerformanceId, change: QueueChange, settings: &QueueSettings, cause: &StaffCause) -> Data {
    let (performance_id, at) = (of.to_string(), Some(timestamp(cause.at)));
    let (settings, act) = (Some(queue_settings(settings)), Some(act(cause)));
    match change {
        QueueChange::Paused => Data::QueuePaused(pb::QueuePaused { performance_id, settings, act, paused_at: at }),
        QueueChange::Resumed => Data::QueueResumed(pb::QueueResumed { performance_id, settings, act, resumed_at: at }),
        QueueChange::Drained => Data::QueueDrained(pb::QueueDrained { performance_id, settings, act, drained_at: at }),
        QueueChange::Settings => {
            Data::QueueSettingsChanged(pb::QueueSettingsChanged { performance_id, settings, act, changed_at: at })
        }
    }
}

fn reservation(it: &Reservation, chart: Option<&SeatChart>) -> Result<Option<pb::Reservation>, CannotEncode> {
    let reserved = |reserved: &ReservedSeat| {
        let price = Money { minor: reserved.price_minor, currency: it.total.currency };
        Ok(pb::ReservedSeat { seat: Some(seat(reserved.slot, chart)?), price: Some(money(price)) })
    };
    Ok(Some(pb::Reservation {
        reservation_id: it.id.to_string(),
        user_id: it.user.to_string(),
        performance_id: it.performance.to_string(),
        seats: it.seats.iter().map(reserved).collect::<Result<_, _>>()?,
        total: Some(money(it.total)),
        held_at: Some(timestamp(it.held_at)),
        expires_at: Some(timestamp(it.expires_at)),
        payment_id: it.payment.map(|id| id.to_string()).unwrap_or_default(),
        revision: it.revision,
    }))
}

fn payment(it: &Payment) -> pb::Payment {
    let method = match it.method {
        PaymentMethod::Wallet => pb::PaymentMethod::Wallet,
        PaymentMethod::Card => pb::PaymentMethod::Card,
    };
    pb::Payment {
        payment_id: it.id.to_string(),
        amount: Some(money(it.amount)),
        method: method.into(),
        paid_at: Some(timestamp(it.paid_at)),
    }
}

fn refund(it: &Refund, chart: Option<&SeatChart>) -> Result<pb::Refund, CannotEncode> {
    let cause = match it.cause {
        RefundCause::Cancelled => pb::RefundCause::Cancelled,
        RefundCause::Unsold => pb::RefundCause::Unsold,
        RefundCause::NotTaken => pb::RefundCause::NotTaken,
        RefundCause::Withdrawn => pb::RefundCause::Withdrawn,
    };
    let (operator_id, reason) = match &it.by {
        CancelledBy::Fan => Default::default(),
        CancelledBy::Operator(operator, reason) => (operator.to_string(), reason.as_str().to_owned()),
    };
    Ok(pb::Refund {
        refund_id: it.id.to_string(),
        payment_id: it.payment.to_string(),
        seats: seats(&it.slots, chart)?,
        price: Some(money(it.price)),
        fee: Some(money(Money { minor: it.fee_minor, ..it.price })),
        amount: Some(money(it.amount())),
        to_card: it.to_card,
        cause: cause.into(),
        operator_id,
        reason,
        refunded_at: Some(timestamp(it.at)),
    })
}

fn act(cause: &StaffCause) -> pb::StaffAct {
    pb::StaffAct {
        operator_id: cause.operator.to_string(),
        request_id: cause.request.map(|id| id.to_string()).unwrap_or_default(),
        audit_entry_id: cause.entry.to_string(),
    }
}

fn queue_settings(it: &QueueSettings) -> admin::QueueSettings {
    let lane = |lane: &Lane| admin::Lane { name: lane.name.as_str().to_owned(), weight: lane.weight };
    admin::QueueSettings {
        rate: Some(admin::QueueRate { admissions: it.rate.admissions, period: Some(duration(it.rate.period)) }),
        batch: Some(it.batch),
        max_active: Some(it.max_active),
        paused: Some(it.paused),
        draining: Some(it.draining),
        accept_window: Some(duration(it.accept_window)),
        active_duration: Some(duration(it.active_duration)),
        grace: Some(duration(it.grace)),
        hold_tries: Some(it.hold_tries.unwrap_or_default()),
        message: Some(it.message.as_ref().map(|message| message.as_str().to_owned()).unwrap_or_default()),
        lanes: it.lanes.as_slice().iter().map(lane).collect(),
    }
}

/// The grades that have a price.
fn prices(prices: &PriceList, chart: Option<&SeatChart>) -> Result<Vec<catalog::GradePrice>, CannotEncode> {
    let grades = chart.ok_or(CannotEncode::NoChart)?.grades().iter().zip(&prices.minor_by_grade);
    let priced = grades.filter_map(|(grade, minor)| Some((grade.name.clone(), (*minor)?)));
    let price = |minor| Some(money(Money { minor, currency: prices.currency }));
    Ok(priced.map(|(grade, minor)| catalog::GradePrice { grade, price: price(minor) }).collect())
}

fn role(role: Role) -> identity::Role {
    match role {
        Role::Fan => identity::Role::Fan,
        Role::Operator => identity::Role::Operator,
        Role::Support => identity::Role::Support,
        Role::BoxOffice => identity::Role::BoxOffice,
        Role::Auditor => identity::Role::Auditor,
        Role::CheckIn => identity::Role::CheckIn,
    }
}

fn seats(slots: &[Slot], chart: Option<&SeatChart>) -> Result<Vec<pb::Seat>, CannotEncode> {
    slots.iter().map(|slot| seat(*slot, chart)).collect()
}

fn seat(slot: Slot, chart: Option<&SeatChart>) -> Result<pb::Seat, CannotEncode> {
    let chart = chart.ok_or(CannotEncode::NoChart)?;
    let seat_id = chart.id_at(slot).ok_or(CannotEncode::NoSeat(slot))?;
    let grade = chart.grade_at(slot).and_then(|grade| chart.grades().get(usize::from(grade)));
    let (label, section) = match (chart.seat_at(slot), chart.area_at(slot)) {
        (Some(seat), _) => (chart.label_of(seat), chart.section_of(seat).name.clone()),
        (None, Some(area)) => (String::new(), chart.name_of(area).to_owned()),
        (None, None) => Default::default(),
    };
    Ok(pb::Seat { seat_id, label, section, grade: grade.map(|grade| grade.name.clone()).unwrap_or_default() })
}

fn duration(duration: Duration) -> prost_types::Duration {
    // Those of queues and holds are at most hours.
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    prost_types::Duration { seconds, nanos: duration.subsec_nanos().cast_signed() }
}
