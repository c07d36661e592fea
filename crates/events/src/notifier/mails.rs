//! Writes and sends the mail about an event.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::event::{Event, OutboxRecord};
use encore_domain::ids::PerformanceId;
use encore_domain::mail::Mail;
use encore_domain::ports::{Catalog, Mailer, Users};
use tokio::time::timeout;
use tracing::info;

use super::text::{Show, mail_of};
use crate::charts::Charts;

/// How long sending a mail may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);

/// Sends mails to fans.
pub(super) struct Mails {
    pub(super) users: Arc<dyn Users>,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) charts: Charts,
    pub(super) mailer: Arc<dyn Mailer>,
}

/// What came of a mail.
pub(super) enum Outcome {
    /// It was accepted.
    Sent,
    /// There is nobody to tell.
    Skipped,
    /// It can never be sent.
    Refused(Unavailable),
    /// It was not accepted now.
    Failed,
}

impl Mails {
    /// Tells the fan of an event.
    pub(super) async fn tell(&self, record: &OutboxRecord) -> Result<Outcome, Unavailable> {
        let event = match &record.event {
            Ok(event) => event,
            Err(unreadable) => return Ok(Outcome::Refused(Unavailable::defect("outbox", unreadable.clone()))),
        };
        let mail = match self.compose(event).await {
            Ok(mail) => mail,
            // A row that cannot be read concerns its events alone.
            Err(defect) if defect.is_defect => return Ok(Outcome::Refused(defect)),
            Err(unavailable) => return Err(unavailable),
        };
        let Some(mail) = mail else { return Ok(Outcome::Skipped) };
        Ok(match timeout(SEND_WITHIN, self.mailer.send(&mail)).await {
            Ok(Ok(())) => {
                info!(event = record.id, "a fan was told by mail");
                Outcome::Sent
            }
            Ok(Err(refusal)) if refusal.is_defect => Outcome::Refused(refusal),
            Ok(Err(_)) | Err(_) => Outcome::Failed,
        })
    }

    /// The mail about an event; none if there is nobody to be told.
    async fn compose(&self, event: &Event) -> Result<Option<Mail>, Unavailable> {
        let user = match event {
            Event::ReservationConfirmed { reservation, .. } | Event::SeatsCancelled { reservation, .. } => {
                reservation.user
            }
            Event::PaymentChanged(step) => step.payment.user,
            Event::HoldPlaced(_)
            | Event::HoldChanged { .. }
            | Event::HoldReleased(_)
            | Event::HoldExpired(_)
            | Event::SeatsBlocked(_)
            | Event::SeatsUnblocked(_)
            | Event::WalletToppedUp { .. }
            | Event::WalletWithdrawn { .. }
            | Event::UserSignedUp { .. }
            | Event::UserDeleted { .. }
            | Event::UserRoleChanged { .. }
            | Event::PerformancePublished { .. }
            | Event::PerformanceCancelled { .. }
            | Event::QueueOpened(_)
            | Event::QueueChanged { .. } => return Ok(None),
        };
        let Some(account) = self.users.find(user).await? else { return Ok(None) };
        // Deleted users, and the fans of rehearsals, have addresses that receive nothing.
        if !account.password_hash.is_of_a_password() {
            return Ok(None);
        }
        let show = match event.performance() {
            Some(performance) => self.show(performance).await?,
            None => None,
        };
        Ok(mail_of(account.user.email, event, show.as_ref()))
    }

    async fn show(&self, id: PerformanceId) -> Result<Option<Show>, Unavailable> {
        let Some(performance) = self.catalog.performance(id).await? else { return Ok(None) };
        let Some(concert) = self.catalog.concert(performance.concert).await? else { return Ok(None) };
        let venue = self.charts.venue_of(id).await?;
        Ok(venue.map(|venue| Show { title: concert.title, starts_at: performance.starts_at, venue }))
    }
}
