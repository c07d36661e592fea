//! What is kept about a user, for the user.

use std::sync::Arc;

use encore_domain::audit_log::{AuditCursor, AuditEntry, AuditFilter};
use encore_domain::booking::ReservationCursor;
use encore_domain::identity::User;
use encore_domain::identity::email_verification::EmailVerification;
use encore_domain::identity::password_reset::PasswordReset;
use encore_domain::identity::session::Session;
use encore_domain::ids::{PaymentId, UserId};
use encore_domain::money::Money;
use encore_domain::page::{PAGE_SIZE_MAX, Page, PageRequest};
use encore_domain::payment::fan_payment::FanPayment;
use encore_domain::ports::{
    AuditLog, Clock, Draws, EmailVerifications, PasswordResets, Payments, Sessions, Users, Wallets,
};
use encore_domain::queue::{DrawEntry, DrawEntryCursor};
use encore_domain::wallet::{WalletEntry, WalletEntryCursor};

use crate::booking::{BookingUseCases, ReservationView};
use crate::error::AppError;

/// What [`PersonalDataUseCases`] is made of.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port or the use cases that its type names")]
pub struct PersonalDataParts {
    pub booking: BookingUseCases,
    pub users: Arc<dyn Users>,
    pub sessions: Arc<dyn Sessions>,
    pub password_resets: Arc<dyn PasswordResets>,
    pub email_verifications: Arc<dyn EmailVerifications>,
    pub payments: Arc<dyn Payments>,
    pub wallets: Arc<dyn Wallets>,
    pub draws: Arc<dyn Draws>,
    pub audit_log: Arc<dyn AuditLog>,
    pub clock: Arc<dyn Clock>,
}

/// Reads what is kept about a user, page by page: a reader holds one page in memory.
#[derive(Clone)]
pub struct PersonalDataUseCases(PersonalDataParts);

/// Where reading goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PersonalDataPlace {
    /// At the beginning.
    #[default]
    Person,
    /// At the reservations after this one.
    Reservations(Option<ReservationCursor>),
    /// At the payments after this one.
    Payments(Option<PaymentId>),
    /// At the entries of wallets after this one.
    WalletEntries(Option<WalletEntryCursor>),
    /// At the entries in draws after this one.
    DrawEntries(Option<DrawEntryCursor>),
    /// At what staff changed, after this entry.
    AuditEntries(Option<AuditCursor>),
}

/// A part of what is kept about a user.
#[derive(Clone, Debug)]
pub enum PersonalDataPart {
    /// What there is little of.
    Person(Box<PersonRecord>),
    /// Reservations, the newest first.
    Reservations(Vec<ReservationView>),
    /// Payments with their refunds, the newest first.
    Payments(Vec<FanPayment>),
    /// Entries of wallets, the newest first.
    WalletEntries(Vec<WalletEntry>),
    /// Entries in draws.
    DrawEntries(Vec<DrawEntry>),
    /// What staff changed about the user, the newest first.
    AuditEntries(Vec<AuditEntry>),
}

/// The user, and what a user has few of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRecord {
    /// The profile.
    pub user: User,
    /// The live sessions.
    pub sessions: Vec<Session>,
    /// The resets that were mailed and are kept.
    pub password_resets: Vec<PasswordReset>,
    /// The verifications that were mailed and are kept.
    pub email_verifications: Vec<EmailVerification>,
    /// The balances of the wallets.
    pub balances: Vec<Money>,
}

impl PersonalDataUseCases {
    /// The use cases over their ports.
    pub fn new(parts: PersonalDataParts) -> Self {
        Self(parts)
    }

    /// The part of a user's data that begins at a place, and where the next begins; none after the last. The parts are read one after the
    /// other: what changes meanwhile may be in none or in two of them.
    pub async fn part(
        &self,
        user: UserId,
        place: PersonalDataPlace,
    ) -> Result<(PersonalDataPart, Option<PersonalDataPlace>), AppError> {
        use PersonalDataPart as Part;
        use PersonalDataPlace as At;
        let PersonalDataParts { booking, payments, wallets, draws, audit_log, .. } = &self.0;
        Ok(match place {
            At::Person => {
                let person = self.person(user).await?;
                (Part::Person(Box::new(person)), Some(At::Reservations(None)))
            }
            At::Reservations(after) => {
                let page = booking.list_reservations(user, Vec::new(), page(after)).await?;
                let (items, next) = split(page, At::Reservations, At::Payments(None));
                (Part::Reservations(items), Some(next))
            }
            At::Payments(after) => {
                let (items, next) =
                    split(payments.list(user, page(after)).await?, At::Payments, At::WalletEntries(None));
                (Part::Payments(items), Some(next))
            }
            At::WalletEntries(after) => {
                let (items, next) =
                    split(wallets.entries(user, page(after)).await?, At::WalletEntries, At::DrawEntries(None));
                (Part::WalletEntries(items), Some(next))
            }
            At::DrawEntries(after) => {
                let (items, next) =
                    split(draws.entries_of(user, page(after)).await?, At::DrawEntries, At::AuditEntries(None));
                (Part::DrawEntries(items), Some(next))
            }
            At::AuditEntries(after) => {
                let filter = AuditFilter { target: Some(user.0), ..AuditFilter::default() };
                let Page { items, next } = audit_log.list(&filter, page(after)).await?;
                (Part::AuditEntries(items), next.map(|next| At::AuditEntries(Some(next))))
            }
        })
    }

    async fn person(&self, user: UserId) -> Result<PersonRecord, AppError> {
        let PersonalDataParts { users, sessions, password_resets, email_verifications, wallets, clock, .. } = &self.0;
        let account = users.find(user).await?.ok_or_else(|| AppError::not_found("user", user))?;
        Ok(PersonRecord {
            user: account.user,
            sessions: sessions.live(user, clock.now()).await?,
            password_resets: password_resets.of_user(user).await?,
            email_verifications: email_verifications.of_user(user).await?,
            balances: wallets.balances(user).await?,
        })
    }
}

fn page<C>(after: Option<C>) -> PageRequest<C> {
    PageRequest { after, size: PAGE_SIZE_MAX }
}

/// The items of a page, and the place of the next page; that of the next kind after the last one.
fn split<T, C>(
    page: Page<T, C>,
    of_kind: impl Fn(Option<C>) -> PersonalDataPlace,
    next_kind: PersonalDataPlace,
) -> (Vec<T>, PersonalDataPlace) {
    let Page { items, next } = page;
    (items, next.map_or(next_kind, |next| of_kind(Some(next))))
}
