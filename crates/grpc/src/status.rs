//! The one table that maps each failure to a gRPC status with its details.

mod details;
mod of_layers;

use std::time::Duration;

use chrono::SecondsFormat;
use encore_app::error::{AppError, LimitedLogIn, Violation};
use encore_domain::booking::ReservationState;
use encore_domain::catalog::NotOnSale;
use encore_domain::catalog::draft::Obstacle;
use encore_domain::error::Unavailable;
use encore_domain::identity::account_change::OpenBusiness;
use encore_domain::queue::EndReason;
use encore_domain::queue::ceilings::CeilingExceeded;
use encore_domain::time::Timestamp;
use encore_proto::booking::v1::{SeatBlock, SeatsTaken};
use encore_proto::common::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use tracing::{error, warn};

pub(crate) use self::details::refusal;
use self::details::{RETRY_AFTER_OVERLOAD, RETRY_AFTER_UNAVAILABLE, info, quota_failure, retry_later, with_detail};
pub(crate) use self::of_layers::{
    Quota, body_overdue, credentials_invalid, credentials_missing, deadline_exceeded, no_answer_in_time, rate_limited,
    reply_not_read, role_not_allowed, shutting_down,
};

/// The most bytes of violations in a status. Its details are sent in a header, and clients refuse large headers (8 KiB
/// in Java, before base64).
const VIOLATIONS_MAX_BYTES: usize = 4_096;

/// The status of a failed use case.
#[expect(clippy::too_many_lines, reason = "one table, which is read as a whole")]
pub(crate) fn status(failure: AppError) -> Status {
    let message = shortened(failure.to_string());
    match failure {
        AppError::Invalid(violations) => invalid(&violations),
        AppError::NotFound { kind, ids } => {
            let mut details = info(ErrorReason::NotFound, []);
            details.set_resource_info(format!("encore.{kind}"), shortened(ids.join(",")), "", message.as_str());
            Status::with_error_details(Code::NotFound, message, details)
        }
        AppError::RequestReused => {
            let mut details = info(ErrorReason::RequestIdReused, []);
            details.add_bad_request_violation("request_id", "must not be the id of a different request");
            Status::with_error_details(Code::InvalidArgument, message, details)
        }
        AppError::LogInFailed => refusal(Code::Unauthenticated, message, ErrorReason::LogInFailed, []),
        AppError::RefreshTokenInvalid => refusal(Code::Unauthenticated, message, ErrorReason::RefreshTokenInvalid, []),
        AppError::ResetTokenInvalid => precondition(message, ErrorReason::ResetTokenInvalid, []),
        AppError::EmailNotVerified => precondition(message, ErrorReason::EmailNotVerified, []),
        AppError::VerificationTokenInvalid => precondition(message, ErrorReason::VerificationTokenInvalid, []),
        AppError::MailOff => precondition(message, ErrorReason::MailOff, []),
        AppError::AccountInUse(open) => account_in_use(message, &open),
        AppError::PerformanceWithdrawn { at } => {
            precondition(message, ErrorReason::PerformanceWithdrawn, [("withdrawn_at", rfc3339(at))])
        }
        AppError::PerformanceInUse { seats } => {
            precondition(message, ErrorReason::PerformanceInUse, [("seats", seats.to_string())])
        }
        AppError::DraftEnded(state) => {
            precondition(message, ErrorReason::DraftEnded, [("state", state.name().to_uppercase())])
        }
        AppError::DraftChanged => refusal(Code::Aborted, message, ErrorReason::DraftChanged, []),
        AppError::NotPublishable(obstacles) => not_publishable(message, &obstacles),
        AppError::EmailTaken => refusal(Code::AlreadyExists, message, ErrorReason::EmailTaken, []),
        AppError::NotOnSale(NotOnSale::NotYet { opens_at }) => {
            precondition(message, ErrorReason::SaleNotOpen, [("opens_at", rfc3339(opens_at))])
        }
        AppError::NotOnSale(NotOnSale::Over { closed_at }) => {
            precondition(message, ErrorReason::SaleClosed, [("closed_at", rfc3339(closed_at))])
        }
        AppError::SeatsTaken { seat_ids, version, alternatives } => {
            let mut details = info(ErrorReason::SeatsTaken, [("seat_ids", seat_ids.join(","))]);
            for seat_id in &seat_ids {
                details.add_precondition_failure_violation("SEAT_TAKEN", seat_id, "is held, sold or blocked");
            }
            let alternatives = alternatives.into_iter().map(|seat_ids| SeatBlock { seat_ids }).collect();
            let taken = SeatsTaken { seat_ids, version: version.unwrap_or_default(), alternatives };
            let status = Status::with_error_details(Code::FailedPrecondition, message, details);
            with_detail(status, "encore.booking.v1.SeatsTaken", &taken)
        }
        AppError::SeatsNotFree { seat_ids } => {
            many_seats(message, ErrorReason::SeatsTaken, &seat_ids, ("SEAT_TAKEN", "is held or sold"))
        }
        AppError::SeatsNotBlocked { seat_ids } => {
            many_seats(message, ErrorReason::SeatsNotBlocked, &seat_ids, ("SEAT_NOT_BLOCKED", "is not blocked"))
        }
        AppError::WouldOrphanSeats { seat_ids } => {
            let rule = ("ORPHAN_SEAT", "would have no free neighbour");
            few_seats(message, ErrorReason::WouldOrphanSeats, &seat_ids, rule)
        }
        AppError::AccessibleSeats { seat_ids } => {
            let rule = ("ACCESSIBLE_SEAT", "is reserved for fans who need an accessible seat");
            few_seats(message, ErrorReason::AccessibleSeats, &seat_ids, rule)
        }
        AppError::NoSeatsFit { count } => {
            precondition(message, ErrorReason::NoSeatsFit, [("count", count.to_string())])
        }
        AppError::TooFewLeft { area, count, left } => too_few_left(message, area, count, left),
        AppError::OverLimit { limit, owned } => {
            let metadata = [("limit", limit.to_string()), ("owned", owned.to_string())];
            precondition(message, ErrorReason::SeatLimitExceeded, metadata)
        }
        AppError::HoldExpired { expired_at } => {
            precondition(message, ErrorReason::HoldExpired, [("expired_at", rfc3339(expired_at))])
        }
        AppError::HoldAtLimit { expires_at } => {
            precondition(message, ErrorReason::HoldAtLimit, [("expires_at", rfc3339(expires_at))])
        }
        AppError::NotHeld { state } => {
            precondition(message, ErrorReason::ReservationNotHeld, [("state", state_name(state).to_owned())])
        }
        AppError::NotConfirmed { state } => {
            precondition(message, ErrorReason::ReservationNotConfirmed, [("state", state_name(state).to_owned())])
        }
        AppError::CancellationClosed { closed_at } => {
            precondition(message, ErrorReason::CancellationClosed, [("closed_at", rfc3339(closed_at))])
        }
        AppError::CancellationChanged { reservations, amount } => {
            let metadata = [
                ("reservations", reservations.to_string()),
                ("amount_minor", amount.minor.to_string()),
                ("currency_code", amount.currency.to_string()),
            ];
            precondition(message, ErrorReason::CancellationChanged, metadata)
        }
        AppError::SalesStopped { reason } => {
            precondition(message, ErrorReason::SalesStopped, [("reason", reason.as_str().to_owned())])
        }
        AppError::TopUpsOff => precondition(message, ErrorReason::TopUpsOff, []),
        AppError::CardsOff => precondition(message, ErrorReason::CardsOff, []),
        AppError::TooManyAttempts { attempts } => {
            precondition(message, ErrorReason::TooManyAttempts, [("attempts", attempts.to_string())])
        }
        AppError::NoActionNeeded => precondition(message, ErrorReason::NoActionNeeded, []),
        AppError::InsufficientBalance { balance, needed } => {
            let metadata = [
                ("balance_minor", balance.minor.to_string()),
                ("needed_minor", needed.minor.to_string()),
                ("currency_code", needed.currency.to_string()),
            ];
            precondition(message, ErrorReason::InsufficientBalance, metadata)
        }
        AppError::NotFromCards { refundable } => {
            let metadata = [
                ("refundable_minor", refundable.minor.to_string()),
                ("currency_code", refundable.currency.to_string()),
            ];
            precondition(message, ErrorReason::NotFromCards, metadata)
        }
        AppError::WalletFull(currency) => {
            let limit = currency.balance_max_minor().to_string();
            let metadata = [("limit_minor", limit), ("currency_code", currency.to_string())];
            precondition(message, ErrorReason::WalletFull, metadata)
        }
        AppError::NoQueue => precondition(message, ErrorReason::NoQueue, []),
        AppError::QueueTokenMissing => precondition(message, ErrorReason::QueueTokenMissing, []),
        AppError::QueueTokenInvalid => precondition(message, ErrorReason::QueueTokenInvalid, []),
        AppError::NotAdmitted => precondition(message, ErrorReason::NotAdmitted, []),
        AppError::QueueTokenEnded(reason) => {
            precondition(message, ErrorReason::QueueTokenEnded, [("ended", end_name(reason).to_owned())])
        }
        AppError::QueueDraining => precondition(message, ErrorReason::QueueDraining, []),
        AppError::LaneGrantInvalid => precondition(message, ErrorReason::LaneGrantInvalid, []),
        AppError::NoDraw => precondition(message, ErrorReason::NoDraw, []),
        AppError::HoldTriesExhausted { tries } => {
            precondition(message, ErrorReason::HoldTriesExhausted, [("tries", tries.to_string())])
        }
        AppError::QueueCeilingExceeded { settings, exceeded } => ceiling_exceeded(message, settings, &exceeded),
        AppError::TooManyEndpoints { limit } => {
            precondition(message, ErrorReason::TooManyEndpoints, [("limit", limit.to_string())])
        }
        AppError::Overloaded => {
            retry_later(Code::ResourceExhausted, message, ErrorReason::Overloaded, RETRY_AFTER_OVERLOAD)
        }
        AppError::LogInLimited(limited) => log_in_limited(&message, limited),
        AppError::Unavailable(unavailable) => store_failed(message, &unavailable),
        AppError::Internal(what) => {
            error!(alarm = "call_failed", what, "internal error; call failed");
            internal()
        }
    }
}

fn account_in_use(message: String, open: &OpenBusiness) -> Status {
    let balances: Vec<String> = open.balances.iter().map(|it| format!("{} {}", it.minor, it.currency)).collect();
    let counts = [("reservations", open.reservations.to_string()), ("card_payments", open.card_payments.to_string())];
    let metadata = [counts[0].clone(), counts[1].clone(), ("balances", balances.join(","))];
    let mut details = info(ErrorReason::AccountInUse, metadata);
    for (subject, is_open, rule) in [
        ("reservations", open.reservations > 0, "wait until holds end, and cancel what is paid"),
        ("card_payments", open.card_payments > 0, "wait until payments and refunds have ended"),
        ("balances", !open.balances.is_empty(), "spend the balances, or give them up"),
    ] {
        if is_open {
            details.add_precondition_failure_violation("OPEN", subject, rule);
        }
    }
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// A store is away, or refused a value or holds an unreadable one.
fn store_failed(message: String, failure: &Unavailable) -> Status {
    let error = failure as &dyn std::error::Error;
    if failure.is_defect {
        error!(alarm = "value_unreadable", error, "a store refused a value or holds an unreadable one; call failed");
        return internal();
    }
    warn!(error, "store unavailable; call refused, client retries");
    retry_later(Code::Unavailable, message, ErrorReason::StoreUnavailable, RETRY_AFTER_UNAVAILABLE)
}

/// The server failed. Clients are not told how.
pub(crate) fn internal() -> Status {
    refusal(Code::Internal, "internal error", ErrorReason::Internal, [])
}

/// A password was not checked or hashed. The wait is rounded up to whole seconds.
fn log_in_limited(message: &str, limited: LimitedLogIn) -> Status {
    let (subject, retry_after) = match limited {
        LimitedLogIn::WrongPasswords { retry_after } => ("wrong_passwords", retry_after),
        LimitedLogIn::TooManySignUps { retry_after } => ("sign_ups", retry_after),
        LimitedLogIn::TooManyLogIns { retry_after } => ("log_ins", retry_after),
        LimitedLogIn::TooManyResets { retry_after } => ("password_resets", retry_after),
        LimitedLogIn::TooManyVerifications { retry_after } => ("email_verifications", retry_after),
        LimitedLogIn::TooManyExports { retry_after } => ("exports", retry_after),
        LimitedLogIn::TooManyWaiting => ("calls_at_once", RETRY_AFTER_OVERLOAD),
    };
    let retry_after = Duration::from_secs(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0));
    quota_failure(message, subject, message, retry_after)
}

fn invalid(violations: &[Violation]) -> Status {
    let mut details = info(ErrorReason::InvalidRequest, []);
    let mut bytes = 0;
    for (listed, Violation { field, rule }) in violations.iter().enumerate() {
        bytes += field.len() + rule.len();
        if bytes > VIOLATIONS_MAX_BYTES {
            let rest = violations.len() - listed;
            details
                .add_bad_request_violation("", format!("and {rest} more violations, which do not fit into the reply"));
            break;
        }
        details.add_bad_request_violation(field, rule);
    }
    let message = match violations {
        [only] => format!("{} {}", only.field, only.rule),
        many => format!("{} fields are invalid", many.len()),
    };
    Status::with_error_details(Code::InvalidArgument, shortened(message), details)
}

/// Shortens a message that quotes the request, so that it fits into a header.
fn shortened(mut message: String) -> String {
    const MESSAGE_MAX_BYTES: usize = 512;
    if message.len() > MESSAGE_MAX_BYTES {
        message.truncate(message.floor_char_boundary(MESSAGE_MAX_BYTES));
        message.push('…');
    }
    message
}

fn too_few_left(message: String, area: String, count: usize, left: u32) -> Status {
    let metadata = [("area", area), ("count", count.to_string()), ("left", left.to_string())];
    precondition(message, ErrorReason::TooFewLeft, metadata)
}

fn precondition<const N: usize>(message: String, reason: ErrorReason, metadata: [(&str, String); N]) -> Status {
    refusal(Code::FailedPrecondition, message, reason, metadata)
}

/// Lists every field that exceeds its ceiling as a violation, and the first of them in the metadata as well.
fn ceiling_exceeded(message: String, settings: &str, exceeded: &[CeilingExceeded]) -> Status {
    let field_and_ceiling = |exceeded: &CeilingExceeded| match exceeded {
        CeilingExceeded::Rate { ceiling } => (format!("{settings}.rate"), *ceiling),
        CeilingExceeded::MaxActive { ceiling } => (format!("{settings}.max_active"), *ceiling),
    };
    let (field, ceiling) = exceeded.first().map(field_and_ceiling).unwrap_or_default();
    let metadata = [("field", field), ("ceiling", ceiling.to_string())];
    let mut details = info(ErrorReason::QueueCeilingExceeded, metadata);
    for exceeded in exceeded {
        let (field, _) = field_and_ceiling(exceeded);
        details.add_precondition_failure_violation("QUEUE_CEILING_EXCEEDED", field, exceeded.to_string());
    }
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// Lists everything for which a draft cannot be published.
fn not_publishable(message: String, obstacles: &[Obstacle]) -> Status {
    let mut details = info(ErrorReason::NotPublishable, []);
    for obstacle in obstacles {
        let (kind, subject, rule) = match obstacle {
            Obstacle::StartsInThePast => ("STARTS_IN_THE_PAST", "starts_at", "must be in the future"),
            Obstacle::SaleIsOver => ("SALE_IS_OVER", "on_sale_closes_at", "must be in the future"),
            Obstacle::NoSeats => ("NO_SEATS", "prices", "must be of grades that have seats"),
            Obstacle::GradeWithoutPrice(grade) => {
                ("GRADE_WITHOUT_PRICE", grade.as_str(), "must have a price or be in grades_not_for_sale")
            }
            Obstacle::PriceOfGradeNotForSale(grade) => {
                ("PRICE_OF_GRADE_NOT_FOR_SALE", grade.as_str(), "must have no price or not be in grades_not_for_sale")
            }
        };
        details.add_precondition_failure_violation(kind, subject, rule);
    }
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// A refusal that lists seats of one hold.
fn few_seats(message: String, reason: ErrorReason, seat_ids: &[String], (kind, rule): (&str, &str)) -> Status {
    let mut details = info(reason, [("seat_ids", seat_ids.join(","))]);
    for seat_id in seat_ids {
        details.add_precondition_failure_violation(kind, seat_id, rule);
    }
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// A refusal that lists as many seats as fit into a header.
fn many_seats(message: String, reason: ErrorReason, seat_ids: &[String], (kind, rule): (&str, &str)) -> Status {
    let mut bytes = 0;
    let fit = seat_ids.iter().take_while(|seat_id| {
        // A seat is listed in the metadata and in a violation with its kind and its rule.
        bytes += seat_id.len() * 2 + kind.len() + rule.len();
        bytes <= VIOLATIONS_MAX_BYTES
    });
    let named: Vec<&str> = fit.map(String::as_str).collect();
    let metadata = [("seats", seat_ids.len().to_string()), ("seat_ids", named.join(","))];
    let mut details = info(reason, metadata);
    for seat_id in named {
        details.add_precondition_failure_violation(kind, seat_id, rule);
    }
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

fn rfc3339(moment: Timestamp) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn state_name(state: ReservationState) -> &'static str {
    match state {
        ReservationState::Held => "HELD",
        ReservationState::Paying => "PAYING",
        ReservationState::Confirmed => "CONFIRMED",
        ReservationState::Expired => "EXPIRED",
        ReservationState::Released => "RELEASED",
        ReservationState::Cancelled => "CANCELLED",
    }
}

fn end_name(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Used => "USED",
        EndReason::Left => "LEFT",
        EndReason::Expired => "EXPIRED",
        EndReason::Abandoned => "ABANDONED",
        EndReason::Replaced => "REPLACED",
        EndReason::LimitReached => "SEAT_LIMIT_REACHED",
        EndReason::Reset => "RESET",
    }
}

#[cfg(test)]
mod tests;
