//! The one table that maps each failure to a gRPC status with its details.

use std::collections::HashMap;
use std::time::Duration;

use chrono::SecondsFormat;
use encore_app::error::{AppError, LimitedLogIn, Violation};
use encore_domain::booking::ReservationState;
use encore_domain::catalog::NotOnSale;
use encore_domain::catalog::draft::Obstacle;
use encore_domain::error::Unavailable;
use encore_domain::identity::Role;
use encore_domain::identity::account_change::OpenBusiness;
use encore_domain::queue::EndReason;
use encore_domain::queue::ceilings::CeilingExceeded;
use encore_domain::time::Timestamp;
use encore_proto::booking::v1::{SeatBlock, SeatsTaken};
use encore_proto::common::v1::ErrorReason;
use prost::Message;
use prost_types::Any;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt, pb};
use tracing::{error, warn};

/// The `domain` of every `ErrorInfo`.
const ERROR_DOMAIN: &str = "encore";
/// The retry delay while a store is unavailable: long enough for a fail-over to be detected, and far shorter than a
/// hold.
const RETRY_AFTER_UNAVAILABLE: Duration = Duration::from_secs(1);
/// The retry delay while a bounded work queue is full.
const RETRY_AFTER_OVERLOAD: Duration = Duration::from_secs(2);
/// The retry delay where a caller has as much open as it may. Its own calls end, and make room.
const RETRY_AFTER_LIMIT: Duration = Duration::from_secs(1);
/// The delay before a client reconnects when an instance shuts down.
const RETRY_AFTER_SHUTDOWN: Duration = Duration::from_millis(500);
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
        AppError::MailOff => precondition(message, ErrorReason::MailOff, []),
        AppError::AccountInUse(open) => account_in_use(message, &open),
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
            error!(what, "internal error; call failed");
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
        error!(error, "a store refused a value or holds an unreadable one; call failed");
        return internal();
    }
    warn!(error, "store unavailable; call refused, client retries");
    retry_later(Code::Unavailable, message, ErrorReason::StoreUnavailable, RETRY_AFTER_UNAVAILABLE)
}

/// The server failed. Clients are not told how.
pub(crate) fn internal() -> Status {
    refusal(Code::Internal, "internal error", ErrorReason::Internal, [])
}

/// The deadline that the client set has passed.
pub(crate) fn deadline_exceeded() -> Status {
    let message = "the deadline of the call has passed: a call that changes something may still be carried out";
    refusal(Code::DeadlineExceeded, message, ErrorReason::DeadlineExceeded, [])
}

/// The call carried no access token.
pub(crate) fn credentials_missing() -> Status {
    let message = "an access token is required: send the metadata authorization: Bearer <token>";
    refusal(Code::Unauthenticated, message, ErrorReason::CredentialsMissing, [])
}

/// The access token is invalid.
pub(crate) fn credentials_invalid() -> Status {
    let message = "the access token is invalid or has expired, or its session has ended: refresh the session or log in";
    refusal(Code::Unauthenticated, message, ErrorReason::CredentialsInvalid, [])
}

/// The caller has a role that may not call the RPC. These may.
pub(crate) fn role_not_allowed(allowed: &[Role]) -> Status {
    let roles: Vec<String> = allowed.iter().map(|role| role.name().to_uppercase()).collect();
    let roles = roles.join(",");
    let message = match allowed {
        [] => "nobody may call this RPC".to_owned(),
        _ => format!("users of your role may not call this RPC: it is for {roles}"),
    };
    refusal(Code::PermissionDenied, message, ErrorReason::RoleNotAllowed, [("roles", roles)])
}

/// This instance is shutting down.
pub(crate) fn shutting_down() -> Status {
    let message = "this instance is shutting down: reconnect";
    retry_later(Code::Unavailable, message, ErrorReason::ShuttingDown, RETRY_AFTER_SHUTDOWN)
}

/// A quota of what may be open or under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quota {
    /// Connections, in all or from one address.
    Connections,
    /// Calls without a valid access token, per connection.
    AnonymousCalls,
    /// Calls and streams of one user.
    CallsOfUser,
    /// Calls of one user in a second.
    CallsPerSecond,
    /// Bytes of open calls and of replies that were not read, per connection or in all.
    BytesInFlight,
    /// Calls of one user, or from one address without a token, that wait for a store.
    Stores,
}

impl Quota {
    /// The quota and what to do, as in the violation of a `QuotaFailure`.
    fn subject_and_description(self) -> (&'static str, &'static str) {
        match self {
            Self::Connections => ("connections", "too many connections: close those that are not used"),
            Self::AnonymousCalls => {
                ("anonymous_calls", "too many calls of this connection are open: send an access token, or wait")
            }
            Self::CallsOfUser => ("calls_of_user", "too many calls of this user are open"),
            Self::CallsPerSecond => ("calls_per_second", "too many calls of this user in a second"),
            Self::BytesInFlight => ("bytes_in_flight", "too many bytes are in flight: end requests, read replies"),
            Self::Stores => ("calls_at_once", "too many calls of this caller wait for a store"),
        }
    }
}

/// The caller has as much open or under way as it may. Nothing was done.
pub(crate) fn rate_limited(quota: Quota) -> Status {
    let (subject, description) = quota.subject_and_description();
    quota_failure(description, subject, description, RETRY_AFTER_LIMIT)
}

/// A password was not checked or hashed. The wait is rounded up to whole seconds.
fn log_in_limited(message: &str, limited: LimitedLogIn) -> Status {
    let (subject, retry_after) = match limited {
        LimitedLogIn::WrongPasswords { retry_after } => ("wrong_passwords", retry_after),
        LimitedLogIn::TooManySignUps { retry_after } => ("sign_ups", retry_after),
        LimitedLogIn::TooManyLogIns { retry_after } => ("log_ins", retry_after),
        LimitedLogIn::TooManyResets { retry_after } => ("password_resets", retry_after),
        LimitedLogIn::TooManyWaiting => ("calls_at_once", RETRY_AFTER_OVERLOAD),
    };
    let retry_after = Duration::from_secs(retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0));
    quota_failure(message, subject, message, retry_after)
}

fn quota_failure(message: impl Into<String>, subject: &str, description: &str, retry_after: Duration) -> Status {
    let mut details = info(ErrorReason::RateLimited, [("quota", subject.to_owned())]);
    details.set_retry_info(Some(retry_after));
    details.add_quota_failure_violation(subject, description);
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The body of the request did not come in time.
pub(crate) fn body_overdue() -> Status {
    let message = "the body of the request did not come in time";
    refusal(Code::DeadlineExceeded, message, ErrorReason::DeadlineExceeded, [])
}

/// The reply was taken away, because its client did not read it.
pub(crate) fn reply_not_read() -> Status {
    retry_later(Code::Unavailable, "the reply was not read in time", ErrorReason::Overloaded, RETRY_AFTER_OVERLOAD)
}

/// The use case did not answer before its deadline.
pub(crate) fn no_answer_in_time() -> Status {
    let message = "the call timed out: it is safe to retry it with the same request_id";
    retry_later(Code::Unavailable, message, ErrorReason::StoreUnavailable, RETRY_AFTER_UNAVAILABLE)
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

pub(crate) fn refusal<const N: usize>(
    code: Code,
    message: impl Into<String>,
    reason: ErrorReason,
    metadata: [(&str, String); N],
) -> Status {
    Status::with_error_details(code, message, info(reason, metadata))
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

fn retry_later(code: Code, message: impl Into<String>, reason: ErrorReason, after: Duration) -> Status {
    let mut details = info(reason, []);
    details.set_retry_info(Some(after));
    Status::with_error_details(code, message, details)
}

/// Adds a message of the contract to the details. A status whose details cannot be decoded is returned as it is.
fn with_detail<D: Message>(status: Status, type_name: &str, detail: &D) -> Status {
    let Ok(mut detailed) = pb::Status::decode(status.details()) else { return status };
    let type_url = format!("type.googleapis.com/{type_name}");
    detailed.details.push(Any { type_url, value: detail.encode_to_vec() });
    Status::with_details(status.code(), status.message(), detailed.encode_to_vec().into())
}

fn info<const N: usize>(reason: ErrorReason, metadata: [(&str, String); N]) -> ErrorDetails {
    let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
    let metadata: HashMap<String, String> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    ErrorDetails::with_error_info(name, ERROR_DOMAIN, metadata)
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
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_violations_fits_into_a_header() {
        let violations: Vec<_> =
            (0..1_000).map(|n| Violation::new(format!("plan_json$.zones[{n}]"), "must not be empty")).collect();
        let status = status(AppError::Invalid(violations));
        assert!(status.details().len() < 8_192, "{} bytes", status.details().len());
        let details = status.get_error_details();
        let bad_request = details.bad_request().expect("a list of violations");
        let last = bad_request.field_violations.last().expect("the number of omitted violations");
        assert!(last.description.starts_with("and 8"), "{}", last.description);
    }

    #[test]
    fn taken_seats_with_the_longest_names_fit_into_a_header() {
        let names: Vec<String> = (0..8).map(|n| format!("{n:064}")).collect();
        let alternatives = vec![names.clone(); 3];
        let status = status(AppError::SeatsTaken { seat_ids: names, version: Some(u64::MAX), alternatives });
        assert!(status.details().len() < 6_000, "{} bytes", status.details().len());
        assert_eq!(status.get_error_details().precondition_failure().map(|it| it.violations.len()), Some(8));
    }

    #[test]
    fn a_section_of_seats_with_the_longest_names_fits_into_a_header() {
        let seat_ids: Vec<String> = (0..1_000).map(|n| format!("{n:064}")).collect();
        let status = status(AppError::SeatsNotBlocked { seat_ids });
        assert!(status.details().len() < 6_000, "{} bytes", status.details().len());
        let details = status.get_error_details();
        assert_eq!(details.error_info().and_then(|info| info.metadata.get("seats").cloned()).as_deref(), Some("1000"));
        assert!(details.precondition_failure().is_some_and(|it| it.violations.len() >= 20));
    }

    #[test]
    fn an_unavailable_store_is_reported_with_a_retry_delay() {
        let status = status(AppError::Unavailable(encore_domain::error::Unavailable::of("redis")));
        assert_eq!(status.code(), Code::Unavailable);
        let details = status.get_error_details();
        assert_eq!(details.retry_info().and_then(|retry| retry.retry_delay), Some(RETRY_AFTER_UNAVAILABLE));
        assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("STORE_UNAVAILABLE"));
    }

    #[test]
    fn the_text_of_an_internal_error_is_not_sent_to_clients() {
        let status = status(AppError::Internal("the salt of user 7".into()));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("salt"));
    }

    #[test]
    fn a_value_that_a_store_refuses_is_no_outage() {
        let refused = encore_domain::error::Unavailable::defect("postgres", "timestamp out of range: 4714 BC");
        let status = status(AppError::Unavailable(refused));
        assert_eq!(status.code(), Code::Internal);
        let details = status.get_error_details();
        assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("INTERNAL"));
        assert!(details.retry_info().is_none() && !status.message().contains("4714"));
    }
}
