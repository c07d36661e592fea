//! Every way in which a use case can fail.

mod conversions;

use std::fmt::Display;
use std::time::Duration;

use encore_domain::booking::ReservationState;
use encore_domain::catalog::NotOnSale;
use encore_domain::catalog::draft::{DraftState, Obstacle};
use encore_domain::error::Unavailable;
use encore_domain::identity::account_change::OpenBusiness;
use encore_domain::money::{Currency, Money};
use encore_domain::payment::refund::OperatorReason;
use encore_domain::queue::EndReason;
use encore_domain::queue::ceilings::CeilingExceeded;
use encore_domain::time::Timestamp;
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
