//! What mails to fans say.

use std::sync::Arc;

use encore_domain::booking::Reservation;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::catalog::{Title, Venue};
use encore_domain::event::Event;
use encore_domain::identity::Email;
use encore_domain::mail::Mail;
use encore_domain::payment::Payment;
use encore_domain::payment::refund::{CancelledBy, Refund, RefundCause};
use encore_domain::time::Timestamp;

/// What seats are for.
pub(super) struct Show {
    pub title: Title,
    pub starts_at: Timestamp,
    pub venue: Arc<Venue>,
}

/// The mail about an event; none if it is of no interest to the fan.
pub(super) fn mail_of(to: Email, event: &Event, show: &Show) -> Option<Mail> {
    let (subject, lines) = match event {
        Event::ReservationConfirmed { reservation, payment } => confirmed(reservation, payment, show),
        Event::SeatsCancelled { reservation, refund } => cancelled(reservation, refund, show),
        Event::HoldPlaced(_)
        | Event::HoldChanged { .. }
        | Event::HoldReleased(_)
        | Event::HoldExpired(_)
        | Event::SeatsBlocked(_)
        | Event::SeatsUnblocked(_)
        | Event::WalletToppedUp { .. }
        | Event::WalletWithdrawn { .. }
        | Event::UserSignedUp { .. }
        | Event::UserEmailVerified { .. }
        | Event::UserDeleted { .. }
        | Event::UserRoleChanged { .. }
        | Event::PerformancePublished { .. }
        | Event::QueueChanged { .. } => return None,
    };
    Some(Mail { to, subject, text: lines.join("\r\n") + "\r\n" })
}

fn confirmed(reservation: &Reservation, payment: &Payment, show: &Show) -> (String, Vec<String>) {
    let slots: Vec<Slot> = reservation.seats.iter().map(|seat| seat.slot).collect();
    let mut lines = vec!["Your reservation is paid and confirmed.".to_owned(), String::new()];
    lines.extend(show.lines());
    lines.extend(show.seats(&slots));
    lines.extend([format!("Paid: {}", payment.amount), format!("Reservation: {}", reservation.id)]);
    (format!("Confirmed: {}", show.title.as_str()), lines)
}

fn cancelled(reservation: &Reservation, refund: &Refund, show: &Show) -> (String, Vec<String>) {
    let what = if refund.is_whole { "Your reservation" } else { "Some seats of your reservation" };
    let why = match (refund.cause, &refund.by) {
        (RefundCause::NotTaken, _) => "because the payment was not completed",
        (_, CancelledBy::Operator(..)) => "by the organizer",
        (_, CancelledBy::Fan) => "as you asked",
    };
    let verb = if refund.is_whole { "was" } else { "were" };
    let mut lines = vec![format!("{what} {verb} cancelled {why}."), String::new()];
    lines.extend(show.lines());
    lines.extend(show.seats(&refund.slots));
    let amount = refund.amount();
    if refund.cause == RefundCause::NotTaken {
        lines.push("Nothing was charged.".to_owned());
    } else if refund.to_card {
        lines.push(format!("Refund: {amount}, to your card. It may take some days to appear there."));
    } else {
        lines.push(format!("Refund: {amount}, to your wallet."));
    }
    lines.push(format!("Reservation: {}", reservation.id));
    (format!("Cancelled: {}", show.title.as_str()), lines)
}

impl Show {
    fn lines(&self) -> [String; 3] {
        let when = self.starts_at.format("%Y-%m-%d %H:%M UTC");
        [self.title.as_str().to_owned(), self.venue.name.as_str().to_owned(), when.to_string()]
    }

    /// A line for each seat, and one for the units of each area.
    fn seats(&self, slots: &[Slot]) -> Vec<String> {
        let chart = &self.venue.chart;
        let mut lines: Vec<String> = Vec::new();
        let mut units: Vec<(&str, usize)> = Vec::new();
        for slot in slots {
            if let Some(seat) = chart.seat_at(*slot) {
                lines.push(format!("{} {}", chart.section_of(seat).name, chart.label_of(seat)));
            } else if let Some(area) = chart.area_at(*slot) {
                let name = chart.name_of(area);
                match units.iter_mut().find(|(of, _)| *of == name) {
                    Some((_, count)) => *count += 1,
                    None => units.push((name, 1)),
                }
            }
        }
        lines.extend(units.iter().map(|(name, count)| format!("{name}: {count}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use encore_port_tests::fixtures::{one_event_of_each_kind, small_chart, start, venue};

    use super::*;

    fn mails() -> Vec<Mail> {
        let title = Title::parse("Winterreise").expect("a title");
        let show = Show { title, starts_at: start(), venue: Arc::new(venue(small_chart())) };
        let to = Email::parse("ada@example.com").expect("an address");
        one_event_of_each_kind().iter().filter_map(|event| mail_of(to.clone(), event, &show)).collect()
    }

    #[test]
    fn fans_are_told_of_what_they_bought_and_what_was_cancelled() {
        let mails = mails();
        let [confirmed, some, all] = mails.as_slice() else { panic!("{} mails", mails.len()) };
        assert_eq!(confirmed.subject, "Confirmed: Winterreise");
        for line in ["Winterreise", "Großes Haus", "2026-06-01 10:00 UTC", "Stalls A-1", "Stalls A-2"] {
            assert!(confirmed.text.lines().any(|it| it == line), "{line}: {}", confirmed.text);
        }
        assert!(confirmed.text.contains("Paid: 240.00 EUR"), "{}", confirmed.text);
        assert!(some.text.starts_with("Some seats of your reservation were cancelled as you asked."), "{}", some.text);
        assert!(some.text.contains("to your card") && !some.text.contains("A-1\r\n"), "{}", some.text);
        assert!(all.text.starts_with("Your reservation was cancelled by the organizer."), "{}", all.text);
        assert!(all.text.contains("Refund: 239.00 EUR, to your wallet."), "{}", all.text);
        assert!(!all.text.contains("fire alarm"), "what the operator noted is not for fans");
    }
}
