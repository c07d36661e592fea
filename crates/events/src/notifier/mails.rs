//! Writes and sends the mail about an event.

use std::sync::Arc;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::event::{Event, OutboxRecord};
use encore_domain::identity::Email;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::mail::Mail;
use encore_domain::ports::{Catalog, Mailer, Users};
use tokio::time::timeout;
use tracing::info;

use super::text::{Show, mail_of, postponed_mail};
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
        self.send(record, self.compose(event).await).await
    }

    /// Tells a fan of an event that many are told of.
    pub(super) async fn tell_fan(&self, record: &OutboxRecord, fan: UserId) -> Result<Outcome, Unavailable> {
        let Ok(event) = &record.event else { return Ok(Outcome::Skipped) };
        self.send(record, self.compose_for(event, fan).await).await
    }

    async fn send(
        &self,
        record: &OutboxRecord,
        composed: Result<Option<Mail>, Unavailable>,
    ) -> Result<Outcome, Unavailable> {
        let mail = match composed {
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
        let user = if let Event::ReservationConfirmed { reservation, .. } | Event::SeatsCancelled { reservation, .. } =
            event
        {
            reservation.user
        } else if let Event::PaymentChanged(step) = event {
            step.payment.user
        } else {
            // `mail_of` decides what is told of each event.
            return Ok(None);
        };
        let Some(to) = self.address(user).await? else { return Ok(None) };
        let show = match event.performance() {
            Some(performance) => self.show(performance).await?,
            None => None,
        };
        Ok(mail_of(to, event, show.as_ref()))
    }

    /// The mail to one of the fans who are told of an event; none if this one is not.
    async fn compose_for(&self, event: &Event, fan: UserId) -> Result<Option<Mail>, Unavailable> {
        let Event::PerformancePostponed { performance, before, starts_at, postponed, .. } = event else {
            return Ok(None);
        };
        let Some(to) = self.address(fan).await? else { return Ok(None) };
        let Some(show) = self.show(*performance).await? else { return Ok(None) };
        Ok(Some(postponed_mail(to, (*before, *starts_at), postponed.refunds_until, &show)))
    }

    async fn address(&self, fan: UserId) -> Result<Option<Email>, Unavailable> {
        let account = self.users.find(fan).await?;
        // Deleted users, and the fans of rehearsals, have addresses that receive nothing.
        Ok(account.filter(|account| account.password_hash.is_of_a_password()).map(|account| account.user.email))
    }

    async fn show(&self, id: PerformanceId) -> Result<Option<Show>, Unavailable> {
        let Some(performance) = self.catalog.performance(id).await? else { return Ok(None) };
        let Some(concert) = self.catalog.concert(performance.concert).await? else { return Ok(None) };
        let venue = self.charts.venue_of(id).await?;
        Ok(venue.map(|venue| Show { title: concert.title, starts_at: performance.starts_at, venue }))
    }
}
