//! Events: one for each committed change, written in the transaction of the change.

pub mod message;
mod payment_change;
mod performance_event;
mod queue_change;
mod queue_opening;
pub mod relay;
pub mod seat_feed;
mod staff_cause;

use thiserror::Error;
use uuid::Uuid;

use crate::audit_log::StaffAct;
use crate::booking::Reservation;
use crate::booking::seat_block::{SeatBlock, SeatUnblock};
use crate::catalog::Performance;
use crate::catalog::performance_change::Postponed;
use crate::catalog::seat_chart::Slot;
use crate::identity::Role;
use crate::ids::{PerformanceId, RequestId, UserId};
use crate::payment::Payment;
use crate::payment::refund::{OperatorReason, Refund};
use crate::queue::{Queue, QueueSettings};
use crate::time::Timestamp;
use crate::wallet::WalletEntry;

pub use self::payment_change::{CardPaymentRef, PaymentChange, PaymentFailure, PaymentStep, RefundToCard};
pub use self::queue_change::QueueChange;
pub use self::queue_opening::QueueOpening;
pub use self::staff_cause::StaffCause;

/// A committed change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A fan holds seats.
    HoldPlaced(Reservation),
    /// A fan extended a hold, or released some of its seats.
    HoldChanged {
        /// The hold after the change.
        hold: Reservation,
        /// The seats that it lost by the change, in the order of their slots.
        released: Vec<Slot>,
        /// When it was changed.
        at: Timestamp,
    },
    /// A fan released a hold.
    HoldReleased(Reservation),
    /// The deadline of a hold passed before it was paid.
    HoldExpired(Reservation),
    /// A hold was paid, and its seats are sold.
    ReservationConfirmed {
        /// The confirmed reservation.
        reservation: Reservation,
        /// The payment.
        payment: Payment,
    },
    /// Paid seats were cancelled and refunded.
    SeatsCancelled {
        /// The reservation without them; if none is left, it is cancelled.
        reservation: Reservation,
        /// The refund.
        refund: Refund,
    },
    /// An operator blocked seats.
    SeatsBlocked(SeatBlock),
    /// An operator unblocked seats.
    SeatsUnblocked(SeatUnblock),
    /// A wallet was topped up.
    WalletToppedUp {
        /// Whose wallet.
        user: UserId,
        /// The wallet's side.
        entry: WalletEntry,
    },
    /// A fan withdrew money to the card of a top-up. A withdrawal to several cards has an event for each.
    WalletWithdrawn {
        /// Whose wallet.
        user: UserId,
        /// The wallet's side.
        entry: WalletEntry,
    },
    /// A step of a payment by card, or of a refund to a card.
    PaymentChanged(PaymentStep),
    /// A user signed up.
    UserSignedUp {
        /// Who.
        user: UserId,
        /// The request, if the call had an id.
        request: Option<RequestId>,
        /// When.
        at: Timestamp,
    },
    /// A user showed that mails are received at the address.
    UserEmailVerified {
        /// Who.
        user: UserId,
        /// When.
        at: Timestamp,
    },
    /// A user's personal data was removed.
    UserDeleted {
        /// Whose.
        user: UserId,
        /// When.
        at: Timestamp,
    },
    /// An operator gave a user another role.
    UserRoleChanged {
        /// Who has it.
        user: UserId,
        /// The role until then.
        before: Role,
        /// The role from then on.
        after: Role,
        /// Who changed it, and when.
        cause: StaffCause,
    },
    /// An operator put a performance into the catalogue, by itself or from a draft.
    PerformancePublished {
        /// The performance.
        performance: Performance,
        /// When its pre-queue opens, if it has one.
        pre_queue_opens_at: Option<Timestamp>,
        /// Who published it, and when.
        cause: StaffCause,
    },
    /// An operator cancelled a performance. What follows of it, its blocks and its cancelled reservations, has events of its own.
    PerformanceCancelled {
        /// Which.
        performance: PerformanceId,
        /// Why, as the operator wrote it.
        reason: OperatorReason,
        /// Who cancelled it, and when.
        cause: StaffCause,
    },
    /// A queue has opened by the clock.
    QueueOpened(QueueOpening),
    /// An operator postponed a performance.
    PerformancePostponed {
        /// Which.
        performance: PerformanceId,
        /// When it started until then.
        before: Timestamp,
        /// When it starts from then on.
        starts_at: Timestamp,
        /// What fans are told.
        postponed: Postponed,
        /// Why.
        reason: OperatorReason,
        /// Who postponed it, and when.
        cause: StaffCause,
    },
    /// An operator changed the terms of the sale of a performance.
    PerformanceChanged {
        /// The performance before.
        before: Performance,
        /// And afterwards.
        after: Performance,
        /// Who changed it, and when.
        cause: StaffCause,
    },
    /// An operator withdrew a performance.
    PerformanceWithdrawn {
        /// Which.
        performance: PerformanceId,
        /// Why.
        reason: OperatorReason,
        /// Who withdrew it, and when.
        cause: StaffCause,
    },
    /// An operator changed a queue.
    QueueChanged {
        /// Whose queue.
        performance: PerformanceId,
        /// What changed. A call that makes several changes has an event of each.
        change: QueueChange,
        /// All settings after it.
        settings: QueueSettings,
        /// Who changed it, and when.
        cause: StaffCause,
    },
}

impl Event {
    /// That an act published this performance with this queue.
    pub fn published(performance: &Performance, queue: Option<&Queue>, act: &StaffAct) -> Self {
        let pre_queue_opens_at = queue.and_then(|queue| queue.draw).map(|draw| draw.pre_queue_opens_at);
        Self::PerformancePublished { performance: performance.clone(), pre_queue_opens_at, cause: act.into() }
    }

    /// What an act changed of the queue of this performance.
    pub fn queue_changes(
        of: PerformanceId,
        before: &QueueSettings,
        after: &QueueSettings,
        act: &StaffAct,
    ) -> Vec<Self> {
        let changes = QueueChange::between(before, after).into_iter();
        let event = |change| Self::QueueChanged { performance: of, change, settings: after.clone(), cause: act.into() };
        changes.map(event).collect()
    }

    /// The kind of the event. Consumers subscribe by it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::HoldPlaced(_) => "booking.hold_placed",
            Self::HoldChanged { .. } => "booking.hold_changed",
            Self::HoldReleased(_) => "booking.hold_released",
            Self::HoldExpired(_) => "booking.hold_expired",
            Self::ReservationConfirmed { .. } => "booking.reservation_confirmed",
            Self::SeatsCancelled { refund, .. } if refund.is_whole => "booking.reservation_cancelled",
            Self::SeatsCancelled { .. } => "booking.seats_cancelled",
            Self::SeatsBlocked(_) => "booking.seats_blocked",
            Self::SeatsUnblocked(_) => "booking.seats_unblocked",
            Self::WalletToppedUp { .. } => "wallet.topped_up",
            Self::WalletWithdrawn { .. } => "wallet.withdrawn",
            Self::PaymentChanged(step) => step.change.kind(),
            Self::UserSignedUp { .. } => "user.signed_up",
            Self::UserEmailVerified { .. } => "user.email_verified",
            Self::UserDeleted { .. } => "user.deleted",
            Self::UserRoleChanged { .. } => "user.role_changed",
            Self::PerformancePublished { .. } => "catalog.performance_published",
            Self::PerformanceCancelled { .. } => "catalog.performance_cancelled",
            Self::QueueOpened(_) => "queue.opened",
            Self::PerformancePostponed { .. } => "catalog.performance_postponed",
            Self::PerformanceChanged { .. } => "catalog.performance_changed",
            Self::PerformanceWithdrawn { .. } => "catalog.performance_withdrawn",
            Self::QueueChanged { change, .. } => change.kind(),
        }
    }

    /// The id of the event. It is the same for every delivery, so that consumers can drop duplicates. Most kinds happen once
    /// to their subject. A hold may be changed several times; the id of a change includes the revision of the hold. A payment may have
    /// several attempts and disputes, which are numbered. What staff may change several times has the id of the entry in the audit log.
    pub fn id(&self) -> String {
        let subject = match self {
            Self::HoldChanged { hold, .. } => return format!("{}/{}/{}", self.kind(), hold.id, hold.revision),
            Self::PaymentChanged(step) => return step.change.event_id(&step.payment),
            Self::HoldPlaced(reservation)
            | Self::HoldReleased(reservation)
            | Self::HoldExpired(reservation)
            | Self::ReservationConfirmed { reservation, .. } => reservation.id.0,
            Self::SeatsCancelled { refund, .. } => refund.id.0,
            Self::SeatsBlocked(SeatBlock { id, .. }) | Self::SeatsUnblocked(SeatUnblock { id, .. }) => id.0,
            Self::WalletToppedUp { entry, .. } | Self::WalletWithdrawn { entry, .. } => entry.transfer.0,
            Self::UserSignedUp { user, .. } | Self::UserEmailVerified { user, .. } | Self::UserDeleted { user, .. } => {
                user.0
            }
            Self::UserRoleChanged { cause, .. }
            | Self::PerformancePostponed { cause, .. }
            | Self::PerformanceChanged { cause, .. }
            | Self::QueueChanged { cause, .. } => cause.entry.0,
            Self::PerformancePublished { performance, .. } => performance.id.0,
            Self::PerformanceCancelled { performance, .. }
            | Self::PerformanceWithdrawn { performance, .. }
            | Self::QueueOpened(QueueOpening { performance, .. }) => performance.0,
        };
        format!("{}/{subject}", self.kind())
    }

    /// When the change was made.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::HoldPlaced(hold) => hold.held_at,
            Self::HoldChanged { at, .. }
            | Self::SeatsBlocked(SeatBlock { at, .. })
            | Self::SeatsUnblocked(SeatUnblock { at, .. })
            | Self::PaymentChanged(PaymentStep { at, .. })
            | Self::QueueOpened(QueueOpening { at, .. })
            | Self::UserSignedUp { at, .. }
            | Self::UserEmailVerified { at, .. }
            | Self::UserDeleted { at, .. } => *at,
            Self::HoldReleased(hold) | Self::HoldExpired(hold) => hold.settled_at.unwrap_or(hold.expires_at),
            Self::ReservationConfirmed { payment, .. } => payment.paid_at,
            Self::SeatsCancelled { refund, .. } => refund.at,
            Self::WalletToppedUp { entry, .. } | Self::WalletWithdrawn { entry, .. } => entry.at,
            Self::UserRoleChanged { cause, .. }
            | Self::PerformancePublished { cause, .. }
            | Self::PerformanceCancelled { cause, .. }
            | Self::PerformancePostponed { cause, .. }
            | Self::PerformanceChanged { cause, .. }
            | Self::PerformanceWithdrawn { cause, .. }
            | Self::QueueChanged { cause, .. } => cause.at,
        }
    }

    /// The performance that it is about.
    pub fn performance(&self) -> Option<PerformanceId> {
        match self {
            Self::HoldPlaced(reservation)
            | Self::HoldChanged { hold: reservation, .. }
            | Self::HoldReleased(reservation)
            | Self::HoldExpired(reservation)
            | Self::ReservationConfirmed { reservation, .. }
            | Self::SeatsCancelled { reservation, .. } => Some(reservation.performance),
            Self::SeatsBlocked(SeatBlock { performance, .. })
            | Self::SeatsUnblocked(SeatUnblock { performance, .. })
            | Self::PerformanceCancelled { performance, .. }
            | Self::QueueOpened(QueueOpening { performance, .. })
            | Self::PerformancePostponed { performance, .. }
            | Self::PerformanceWithdrawn { performance, .. }
            | Self::QueueChanged { performance, .. } => Some(*performance),
            Self::PaymentChanged(step) => step.payment.performance(),
            Self::PerformancePublished { performance, .. } | Self::PerformanceChanged { after: performance, .. } => {
                Some(performance.id)
            }
            Self::WalletToppedUp { .. }
            | Self::WalletWithdrawn { .. }
            | Self::UserSignedUp { .. }
            | Self::UserEmailVerified { .. }
            | Self::UserDeleted { .. }
            | Self::UserRoleChanged { .. } => None,
        }
    }

    /// The key of the event: the performance, or the user for events of users and wallets, and of payments into and out of these. Events of
    /// one key are delivered in order.
    pub fn key(&self) -> Uuid {
        match self {
            Self::WalletToppedUp { user, .. }
            | Self::WalletWithdrawn { user, .. }
            | Self::UserSignedUp { user, .. }
            | Self::UserEmailVerified { user, .. }
            | Self::UserDeleted { user, .. }
            | Self::UserRoleChanged { user, .. } => user.0,
            Self::HoldPlaced(reservation)
            | Self::HoldChanged { hold: reservation, .. }
            | Self::HoldReleased(reservation)
            | Self::HoldExpired(reservation)
            | Self::ReservationConfirmed { reservation, .. }
            | Self::SeatsCancelled { reservation, .. } => reservation.performance.0,
            Self::SeatsBlocked(SeatBlock { performance, .. })
            | Self::SeatsUnblocked(SeatUnblock { performance, .. })
            | Self::PerformanceCancelled { performance, .. }
            | Self::QueueOpened(QueueOpening { performance, .. })
            | Self::PerformancePostponed { performance, .. }
            | Self::PerformanceWithdrawn { performance, .. }
            | Self::QueueChanged { performance, .. } => performance.0,
            Self::PaymentChanged(step) => step.payment.key(),
            Self::PerformancePublished { performance, .. } | Self::PerformanceChanged { after: performance, .. } => {
                performance.id.0
            }
        }
    }
}

/// A place in the order in which events are delivered. The default is before all events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutboxPlace {
    /// The window.
    pub window: i64,
    /// The number of the event. Within a window, events are delivered in the order of their numbers.
    pub sequence: i64,
}

impl OutboxPlace {
    /// Behind all places.
    pub const END: Self = Self { window: i64::MAX, sequence: 0 };

    /// The place just before this one: an event here comes after it.
    pub fn before(self) -> Self {
        Self { sequence: self.sequence - 1, ..self }
    }
}

/// An event as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRecord {
    /// Where it is in the order of delivery.
    pub place: OutboxPlace,
    /// See [`Event::id`].
    pub id: String,
    /// See [`Event::kind`].
    pub kind: String,
    /// See [`Event::key`].
    pub key: Uuid,
    /// See [`Event::at`].
    pub at: Timestamp,
    /// The event itself.
    pub event: Result<Event, UnreadableEvent>,
}

/// An event is stored in a form that this version cannot read. Later events of its key must wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the event cannot be read: {0}")]
pub struct UnreadableEvent(pub String);

/// Some events in the order of delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxPage {
    /// The events.
    pub records: Vec<OutboxRecord>,
    /// The place after which reading goes on.
    pub end: OutboxPlace,
}

/// What is not delivered yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many events, counted up to [`BACKLOG_COUNTED_MAX`].
    pub events: u64,
    /// When the oldest of those counted was written.
    pub oldest: Option<Timestamp>,
}

/// The most events that a backlog counts. Counting more would read the table for seconds while the store has other work.
pub const BACKLOG_COUNTED_MAX: u64 = 100_000;
