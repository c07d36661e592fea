//! What mails to fans say.

use std::sync::Arc;

use encore_domain::booking::Reservation;
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::catalog::{Title, Venue};
use encore_domain::event::{Event, PaymentChange, RefundToCard};
use encore_domain::identity::Email;
use encore_domain::ids::ReservationId;
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

/// The mail about an event; none if it is of no interest to the fan. `show` is that of the performance of the event, if there is one.
pub(super) fn mail_of(to: Email, event: &Event, show: Option<&Show>) -> Option<Mail> {
    let (subject, lines) = match event {
        Event::ReservationConfirmed { reservation, payment } => confirmed(reservation, payment, show?),
        Event::SeatsCancelled { reservation, refund } => cancelled(reservation, refund, show?),
        Event::PaymentChanged(step) => match &step.change {
            PaymentChange::Refunded { refund, by_dispute: false } => refunded(step.payment.reservation(), refund, show),
            PaymentChange::RefundFailed { refund, .. } => refund_failed(step.payment.reservation(), refund, show),
            // The fan got the money from the bank. The others are told by the answers of the calls, and by the events of the reservation.
            PaymentChange::Refunded { by_dispute: true, .. }
            | PaymentChange::Authorized
            | PaymentChange::Captured
            | PaymentChange::Failed(_)
            | PaymentChange::Disputed { .. }
            | PaymentChange::DisputeClosed { .. } => return None,
        },
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
        | Event::PerformanceCancelled { .. }
        | Event::QueueOpened(_)
        // Many are told of it, each by `postponed_mail`.
        | Event::PerformancePostponed { .. }
        | Event::PerformanceChanged { .. }
        | Event::PerformanceWithdrawn { .. }
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

fn refunded(reservation: Option<ReservationId>, refund: &RefundToCard, show: Option<&Show>) -> (String, Vec<String>) {
    let what =
        format!("Your refund of {} was sent to your card. It may take some days to appear there.", refund.amount);
    (about_refund("Refunded", refund, show), of_refund(what, reservation, show))
}

fn refund_failed(
    reservation: Option<ReservationId>,
    refund: &RefundToCard,
    show: Option<&Show>,
) -> (String, Vec<String>) {
    let amount = refund.amount;
    let what = format!("Your refund of {amount} was not taken by your card. The amount is in your wallet instead.");
    (about_refund("Refunded to your wallet", refund, show), of_refund(what, reservation, show))
}

fn about_refund(what: &str, refund: &RefundToCard, show: Option<&Show>) -> String {
    match show {
        Some(show) => format!("{what}: {}", show.title.as_str()),
        None => format!("{what}: {}", refund.amount),
    }
}

/// The lines of a mail about a refund: of seats, or of a wallet.
fn of_refund(what: String, reservation: Option<ReservationId>, show: Option<&Show>) -> Vec<String> {
    let mut lines = vec![what];
    if let Some(show) = show {
        lines.push(String::new());
        lines.extend(show.lines());
    }
    lines.extend(reservation.map(|id| format!("Reservation: {id}")));
    lines
}

/// The mail to a fan who had bought seats when a show was postponed.
pub(super) fn postponed_mail(
    to: Email,
    (before, starts_at): (Timestamp, Timestamp),
    refunds_until: Timestamp,
    show: &Show,
) -> Mail {
    let lines = [
        "The show is postponed. Your reservation stays valid.".to_owned(),
        String::new(),
        show.title.as_str().to_owned(),
        show.venue.name.as_str().to_owned(),
        format!("Old date: {}", moment(before)),
        format!("New date: {}", moment(starts_at)),
        String::new(),
        format!(
            "If you cannot come, cancel your reservation by {}: you get the full price back.",
            moment(refunds_until)
        ),
    ];
    Mail { to, subject: format!("Postponed: {}", show.title.as_str()), text: lines.join("\r\n") + "\r\n" }
}

fn moment(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

impl Show {
    fn lines(&self) -> [String; 3] {
        [self.title.as_str().to_owned(), self.venue.name.as_str().to_owned(), moment(self.starts_at)]
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
    use encore_port_tests::fixtures::{at_secs, event_of_kind, one_event_of_each_kind, small_chart, start, venue};

    use super::*;

    fn show() -> Show {
        let title = Title::parse("Winterreise").expect("a title");
        Show { title, starts_at: start(), venue: Arc::new(venue(small_chart())) }
    }

    fn ada() -> Email {
        Email::parse("ada@example.com").expect("an address")
    }

    fn mails() -> Vec<Mail> {
        let (show, to) = (show(), ada());
        one_event_of_each_kind()
            .iter()
            .filter_map(|event| mail_of(to.clone(), event, event.performance().map(|_| &show)))
            .collect()
    }

    #[test]
    fn fans_are_told_of_what_they_bought_and_what_was_cancelled() {
        let mails = mails();
        let [confirmed, some, all, ..] = mails.as_slice() else { panic!("{} mails", mails.len()) };
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

    #[test]
    fn fans_are_told_where_their_refunds_went() {
        let mails = mails();
        let [.., refunded, failed] = mails.as_slice() else { panic!("{} mails", mails.len()) };
        assert_eq!(mails.len(), 5);
        assert_eq!(refunded.subject, "Refunded: Winterreise");
        assert!(refunded.text.starts_with("Your refund of 119.00 EUR was sent to your card."), "{}", refunded.text);
        assert!(refunded.text.contains("Großes Haus") && refunded.text.contains("Reservation: "), "{}", refunded.text);
        assert_eq!(failed.subject, "Refunded to your wallet: 119.00 EUR");
        assert!(
            failed.text.contains("in your wallet instead.") && !failed.text.contains("Winterreise"),
            "{}",
            failed.text
        );
    }

    #[test]
    fn a_refund_that_a_dispute_took_is_no_news() {
        let mut event = event_of_kind("payment.refunded");
        let Event::PaymentChanged(step) = &mut event else { panic!("{event:?}") };
        let PaymentChange::Refunded { by_dispute, .. } = &mut step.change else { panic!("{step:?}") };
        *by_dispute = true;
        let to = Email::parse("ada@example.com").expect("an address");
        assert!(mail_of(to, &event, None).is_none());
    }

    #[test]
    fn fans_are_told_of_both_dates_and_until_when_they_get_the_price_back() {
        let mail = postponed_mail(ada(), (start(), at_secs(86_400)), at_secs(3_600), &show());
        assert_eq!(mail.subject, "Postponed: Winterreise");
        for line in [
            "The show is postponed. Your reservation stays valid.",
            "Großes Haus",
            "Old date: 2026-06-01 10:00 UTC",
            "New date: 2026-06-02 10:00 UTC",
            "If you cannot come, cancel your reservation by 2026-06-01 11:00 UTC: you get the full price back.",
        ] {
            assert!(mail.text.lines().any(|it| it == line), "{line}: {}", mail.text);
        }
    }
}
