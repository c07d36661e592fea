//! Every way in which a use case can fail.

use std::convert::Infallible;
use std::fmt::Display;
use std::time::Duration;

use encore_domain::booking::hold_change::{ExtendRefusal, ReleaseRefusal};
use encore_domain::booking::{HoldRefusal, ReservationState};
use encore_domain::catalog::NotOnSale;
use encore_domain::catalog::draft::{DraftRefusal, DraftState, Obstacle};
use encore_domain::catalog::performance_change::ChangeRefusal;
use encore_domain::error::{PortError, RequestError, Unavailable};
use encore_domain::identity::account_change::{DeleteRefusal, OpenBusiness};
use encore_domain::money::{Currency, Money};
use encore_domain::payment::PayRefusal;
use encore_domain::payment::refund::{CancelRefusal, OperatorReason};
use encore_domain::payment::withdrawal::WithdrawRefusal;
use encore_domain::ports::{EmailTaken, HashingError};
use encore_domain::queue::ceilings::CeilingExceeded;
use encore_domain::queue::{EndReason, PatchRefusal};
use encore_domain::time::Timestamp;
use encore_domain::wallet::TopUpRefusal;
use encore_seat_map::SeatMapError;
use encore_seat_map::contexts::ContextError;
use encore_waiting_room::WaitingRoomError;
use thiserror::Error;

/// A field of a request and the rule that its value breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The path of the field, such as `seat_ids[2]`.
    pub field: String,
    /// A sentence without its subject, such as `must be a UUID`.
    pub rule: String,
}

impl Violation {
    /// A field and its broken rule.
    pub fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }
}

/// Why a password was not checked or hashed. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LimitedLogIn {
    /// The account was tried with too many wrong passwords from the caller's address.
    #[error("too many wrong passwords for this account from this address")]
    WrongPasswords {
        /// When the next try is checked.
        retry_after: Duration,
    },
    /// The caller's network has signed up too often.
    #[error("too many sign-ups from this address")]
    TooManySignUps {
        /// When the next one may come.
        retry_after: Duration,
    },
    /// The caller's network has logged in too often.
    #[error("too many log-ins from this address")]
    TooManyLogIns {
        /// When the next one may come.
        retry_after: Duration,
    },
    /// The caller's network has asked for too many mails.
    #[error("too many password resets from this address")]
    TooManyResets {
        /// When the next one may be asked for.
        retry_after: Duration,
    },
    /// The caller's network has asked for too many mails that verify an address.
    #[error("too many e-mail verifications from this address")]
    TooManyVerifications {
        /// When the next one may be asked for.
        retry_after: Duration,
    },
    /// The user has exported the account too often.
    #[error("too many exports of this account")]
    TooManyExports {
        /// When the next one may begin.
        retry_after: Duration,
    },
    /// Too many log-ins and sign-ups wait, and the caller's address or account has more of them than others.
    #[error("too many log-ins and sign-ups of this account or address are waiting")]
    TooManyWaiting,
}

/// Why a use case failed. One table in `encore-grpc` maps each variant to a gRPC status.
#[derive(Debug, Error)]
#[expect(
    missing_docs,
    reason = "the messages describe the variants, and `error_reason.proto` describes them to clients"
)]
pub enum AppError {
    #[error("the request is invalid")]
    Invalid(Vec<Violation>),
    #[error("{kind} not found: {}", ids.join(", "))]
    NotFound { kind: &'static str, ids: Vec<String> },
    #[error("the request id was used for a different request")]
    RequestReused,
    #[error("wrong e-mail address or password")]
    LogInFailed,
    #[error("the refresh token is not of a live session")]
    RefreshTokenInvalid,
    #[error("no password can be set with this token")]
    ResetTokenInvalid,
    #[error("the e-mail address is not verified yet")]
    EmailNotVerified,
    #[error("no e-mail address can be verified with this token")]
    VerificationTokenInvalid,
    #[error("this server sends no mails")]
    MailOff,
    #[error("the account has open reservations, payments or balances")]
    AccountInUse(OpenBusiness),
    #[error("the e-mail address belongs to another user")]
    EmailTaken,
    #[error(transparent)]
    NotOnSale(#[from] NotOnSale),
    #[error("seats are taken: {}", seat_ids.join(", "))]
    SeatsTaken { seat_ids: Vec<String>, version: Option<u64>, alternatives: Vec<Vec<String>> },
    #[error("{} seats cannot be blocked: they are held or sold", seat_ids.len())]
    SeatsNotFree { seat_ids: Vec<String> },
    #[error("{} seats are not blocked", seat_ids.len())]
    SeatsNotBlocked { seat_ids: Vec<String> },
    #[error("the hold would orphan seats: {}", seat_ids.join(", "))]
    WouldOrphanSeats { seat_ids: Vec<String> },
    #[error("seats are reserved for fans who need accessible seats: {}", seat_ids.join(", "))]
    AccessibleSeats { seat_ids: Vec<String> },
    #[error("no {count} free seats match the request")]
    NoSeatsFit { count: usize },
    #[error("area {area} has fewer than {count} free units: {left} left")]
    TooFewLeft { area: String, count: usize, left: u32 },
    #[error("the limit is {limit} seats per fan for this performance, and the caller has {owned}")]
    OverLimit { limit: u32, owned: u32 },
    #[error("the hold expired at {expired_at}")]
    HoldExpired { expired_at: Timestamp },
    #[error("the hold cannot be extended beyond {expires_at}")]
    HoldAtLimit { expires_at: Timestamp },
    #[error("the reservation is not a live hold")]
    NotHeld { state: ReservationState },
    #[error("the reservation is not confirmed")]
    NotConfirmed { state: ReservationState },
    #[error("reservations of this performance could be cancelled until {closed_at}")]
    CancellationClosed { closed_at: Timestamp },
    #[error("{reservations} reservations of {amount} would be cancelled now")]
    CancellationChanged { reservations: u32, amount: Money },
    #[error("the performance was withdrawn at {at}")]
    PerformanceWithdrawn { at: Timestamp },
    #[error("fans hold or have bought {seats} seats of the performance: cancel it instead")]
    PerformanceInUse { seats: u32 },
    #[error("the draft is {}", .0.name())]
    DraftEnded(DraftState),
    #[error("the draft was changed meanwhile")]
    DraftChanged,
    #[error("the draft cannot be published")]
    NotPublishable(Vec<Obstacle>),
    #[error("all sales are stopped: {}", reason.as_str())]
    SalesStopped { reason: OperatorReason },
    #[error("fans cannot top up their wallets")]
    TopUpsOff,
    #[error("this server takes no payments by card")]
    CardsOff,
    #[error("the reservation has had {attempts} attempts to pay by card")]
    TooManyAttempts { attempts: usize },
    #[error("the payment waits for no action of its fan")]
    NoActionNeeded,
    #[error("the wallet holds less than the price")]
    InsufficientBalance { balance: Money, needed: Money },
    #[error("only {refundable} can go back to cards")]
    NotFromCards { refundable: Money },
    #[error("the balance of a wallet may be at most {} minor units of {_0}", .0.balance_max_minor())]
    WalletFull(Currency),
    #[error("the performance has no queue")]
    NoQueue,
    #[error("a queue token is required")]
    QueueTokenMissing,
    #[error("the queue token is not valid for this fan and performance")]
    QueueTokenInvalid,
    #[error("the queue token is not admitted yet")]
    NotAdmitted,
    #[error("the queue token has ended")]
    QueueTokenEnded(EndReason),
    #[error("the queue is draining and accepts no new fans")]
    QueueDraining,
    #[error("the lane grant is not valid for this fan and performance")]
    LaneGrantInvalid,
    #[error("the queue has no draw")]
    NoDraw,
    #[error("the queue token has used all its {tries} attempts to hold seats")]
    HoldTriesExhausted { tries: u32 },
    #[error("{}", exceeded.iter().map(ToString::to_string).collect::<Vec<_>>().join(", and "))]
    QueueCeilingExceeded { settings: &'static str, exceeded: Vec<CeilingExceeded> },
    #[error("there may be {limit} webhook endpoints")]
    TooManyEndpoints { limit: u32 },
    #[error("the server is overloaded")]
    Overloaded,
    #[error(transparent)]
    LogInLimited(LimitedLogIn),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("{0}")]
    Internal(String),
}

impl AppError {
    /// A resource that does not exist, or is not the caller's to see.
    pub fn not_found(kind: &'static str, id: impl Display + Copy) -> Self {
        Self::NotFound { kind, ids: vec![id.to_string()] }
    }

    /// Whether an earlier call with the same request may have succeeded, so that this refusal must not be its answer. An
    /// outage is no refusal: a retry finds out.
    pub fn may_hide_a_repeat(&self) -> bool {
        !matches!(
            self,
            Self::RequestReused | Self::Overloaded | Self::LogInLimited(_) | Self::Unavailable(_) | Self::Internal(_)
        )
    }
}

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
