//! How the refusals of rules, ports and façades become the errors of use cases.

use std::convert::Infallible;

use encore_domain::booking::HoldRefusal;
use encore_domain::booking::hold_change::{ExtendRefusal, ReleaseRefusal};
use encore_domain::catalog::draft::DraftRefusal;
use encore_domain::catalog::performance_change::ChangeRefusal;
use encore_domain::error::{PortError, RequestError};
use encore_domain::identity::account_change::DeleteRefusal;
use encore_domain::payment::PayRefusal;
use encore_domain::payment::refund::CancelRefusal;
use encore_domain::payment::withdrawal::WithdrawRefusal;
use encore_domain::ports::{EmailTaken, HashingError};
use encore_domain::queue::{EndReason, PatchRefusal};
use encore_domain::wallet::TopUpRefusal;
use encore_seat_map::SeatMapError;
use encore_seat_map::contexts::ContextError;
use encore_waiting_room::WaitingRoomError;

use super::{AppError, Violation};

impl From<ChangeRefusal> for AppError {
    fn from(refusal: ChangeRefusal) -> Self {
        match refusal {
            ChangeRefusal::Unknown(id) => Self::not_found("performance", id),
            ChangeRefusal::Withdrawn { at } => Self::PerformanceWithdrawn { at },
            ChangeRefusal::InUse { seats } => Self::PerformanceInUse { seats },
            ChangeRefusal::Invalid(broken) => {
                Self::Invalid(broken.into_iter().map(|it| Violation::new(it.field, it.rule)).collect())
            }
        }
    }
}

impl From<DraftRefusal> for AppError {
    fn from(refusal: DraftRefusal) -> Self {
        match refusal {
            DraftRefusal::Unknown(id) => Self::not_found("draft", id),
            DraftRefusal::Ended(state) => Self::DraftEnded(state),
            DraftRefusal::Changed => Self::DraftChanged,
        }
    }
}

impl<R> From<PortError<R>> for AppError
where
    Self: From<R>,
{
    fn from(error: PortError<R>) -> Self {
        match error {
            PortError::Refused(refusal) => refusal.into(),
            PortError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl<R> From<RequestError<R>> for AppError
where
    Self: From<R>,
{
    fn from(error: RequestError<R>) -> Self {
        match error {
            RequestError::Refused(refusal) => refusal.into(),
            RequestError::Reused => Self::RequestReused,
            RequestError::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<Infallible> for AppError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl From<ContextError> for AppError {
    fn from(error: ContextError) -> Self {
        match error {
            ContextError::NotFound { kind, id } => Self::NotFound { kind, ids: vec![id] },
            ContextError::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl From<SeatMapError> for AppError {
    fn from(error: SeatMapError) -> Self {
        match error {
            SeatMapError::Taken { seat_ids, version } => {
                Self::SeatsTaken { seat_ids, version: Some(version), alternatives: vec![] }
            }
            SeatMapError::WouldOrphan { seat_ids } => Self::WouldOrphanSeats { seat_ids },
            SeatMapError::NoneFits { count } => Self::NoSeatsFit { count },
            SeatMapError::TooFewLeft { area, count, left } => Self::TooFewLeft { area, count, left },
            SeatMapError::OverLimit { limit, owned } => Self::OverLimit { limit, owned },
            SeatMapError::MayRepeat => Self::Internal("a repeated hold was not looked up".to_owned()),
            SeatMapError::Overloaded => Self::Overloaded,
            // A watch lasts as long as the admission of its fan.
            SeatMapError::WatchExpired => Self::QueueTokenEnded(EndReason::Expired),
            SeatMapError::Context(error) => error.into(),
            SeatMapError::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl From<WaitingRoomError> for AppError {
    fn from(error: WaitingRoomError) -> Self {
        match error {
            WaitingRoomError::NoQueue => Self::NoQueue,
            WaitingRoomError::Draining => Self::QueueDraining,
            WaitingRoomError::NoDraw => Self::NoDraw,
            WaitingRoomError::RequestReused => Self::RequestReused,
            WaitingRoomError::NotAdmitted => Self::NotAdmitted,
            WaitingRoomError::TokenEnded(reason) => Self::QueueTokenEnded(reason),
            WaitingRoomError::HoldTriesExhausted { tries } => Self::HoldTriesExhausted { tries },
            WaitingRoomError::TooManyStreams => Self::Overloaded,
            WaitingRoomError::Unavailable(unavailable) => Self::Unavailable(unavailable),
            WaitingRoomError::Internal(message) => Self::Internal(message),
        }
    }
}

impl From<HashingError> for AppError {
    fn from(error: HashingError) -> Self {
        match error {
            HashingError::Overloaded => Self::Overloaded,
            HashingError::Unreadable => Self::Internal(error.to_string()),
        }
    }
}

impl From<DeleteRefusal> for AppError {
    fn from(refusal: DeleteRefusal) -> Self {
        match refusal {
            DeleteRefusal::Changed => Self::LogInFailed,
            DeleteRefusal::Open(open) => Self::AccountInUse(open),
        }
    }
}

impl From<EmailTaken> for AppError {
    fn from(_: EmailTaken) -> Self {
        Self::EmailTaken
    }
}

impl From<PatchRefusal> for AppError {
    fn from(refusal: PatchRefusal) -> Self {
        match refusal {
            PatchRefusal::NoQueue(_) => Self::NoQueue,
            PatchRefusal::LanesMoved => {
                Self::Invalid(vec![Violation::new("settings.lanes", "must keep the queue's lanes and their order")])
            }
        }
    }
}

impl From<HoldRefusal> for AppError {
    fn from(refusal: HoldRefusal) -> Self {
        match refusal {
            HoldRefusal::NotOnSale(closed) => Self::NotOnSale(closed),
            HoldRefusal::UnknownSeats { seat_ids } => Self::NotFound { kind: "seat", ids: seat_ids },
            // As with blocked seats.
            HoldRefusal::NotForSale { seat_ids } => Self::SeatsTaken { seat_ids, version: None, alternatives: vec![] },
            HoldRefusal::UnitsNamed { seat_ids } => {
                let rule = format!(
                    "must not name units of general admission areas, which are sold by count: {}",
                    seat_ids.join(", ")
                );
                Self::Invalid(vec![Violation::new("seat_ids", rule)])
            }
            HoldRefusal::GeneralAdmissionAreas { names } => {
                let rule = |name| format!("must not name a general admission area, which has no seats: {name}");
                Self::Invalid(names.iter().map(|name| Violation::new("best_available.sections", rule(name))).collect())
            }
            HoldRefusal::NotAGeneralAdmissionArea { name } => {
                let rule = format!("must be a general admission area: {name} has seats");
                Self::Invalid(vec![Violation::new("general_admission.area", rule)])
            }
            HoldRefusal::UnknownSections { names } => Self::NotFound { kind: "section", ids: names },
            HoldRefusal::UnknownGrades { names } => Self::NotFound { kind: "grade", ids: names },
            HoldRefusal::AccessibleSeats { seat_ids } => Self::AccessibleSeats { seat_ids },
            HoldRefusal::OtherCurrency { sold_in } => {
                let field = "best_available.price_max.currency_code";
                Self::Invalid(vec![Violation::new(field, format!("must be {sold_in}, the currency of the prices"))])
            }
        }
    }
}

impl From<ReleaseRefusal> for AppError {
    fn from(refusal: ReleaseRefusal) -> Self {
        match refusal {
            ReleaseRefusal::NotHeld { state } => Self::NotHeld { state },
            ReleaseRefusal::NotItsSeats { slots } => {
                let ids = slots.iter().map(|slot| format!("slot {}", slot.0)).collect();
                Self::NotFound { kind: "reserved_seat", ids }
            }
        }
    }
}

impl From<ExtendRefusal> for AppError {
    fn from(refusal: ExtendRefusal) -> Self {
        match refusal {
            ExtendRefusal::NotHeld { state } => Self::NotHeld { state },
            ExtendRefusal::AtLimit { expires_at } => Self::HoldAtLimit { expires_at },
        }
    }
}

impl From<PayRefusal> for AppError {
    fn from(refusal: PayRefusal) -> Self {
        match refusal {
            PayRefusal::HoldExpired { expired_at } => Self::HoldExpired { expired_at },
            PayRefusal::NotHeld { state } => Self::NotHeld { state },
            // The payment was planned again as often as its limit allows.
            PayRefusal::HoldChanged => Self::Overloaded,
            PayRefusal::TooManyAttempts { attempts } => Self::TooManyAttempts { attempts },
            PayRefusal::InsufficientBalance { balance, needed } => Self::InsufficientBalance { balance, needed },
        }
    }
}

impl From<CancelRefusal> for AppError {
    fn from(refusal: CancelRefusal) -> Self {
        match refusal {
            CancelRefusal::NotConfirmed { state } => Self::NotConfirmed { state },
            CancelRefusal::NotItsSeats { slots } => {
                let ids = slots.iter().map(|slot| format!("slot {}", slot.0)).collect();
                Self::NotFound { kind: "reserved_seat", ids }
            }
            CancelRefusal::TooLate { closed_at } => Self::CancellationClosed { closed_at },
        }
    }
}

impl From<WithdrawRefusal> for AppError {
    fn from(refusal: WithdrawRefusal) -> Self {
        match refusal {
            WithdrawRefusal::InsufficientBalance { balance, needed } => Self::InsufficientBalance { balance, needed },
            WithdrawRefusal::NotFromCards { refundable } => Self::NotFromCards { refundable },
        }
    }
}

impl From<TopUpRefusal> for AppError {
    fn from(refusal: TopUpRefusal) -> Self {
        match refusal {
            TopUpRefusal::WalletFull(currency) => Self::WalletFull(currency),
        }
    }
}
