//! What is noted of a thing: its values by name.

use std::fmt::Write;

use chrono::SecondsFormat;
use sha2::{Digest, Sha256};

use crate::audit_log::AuditChange;
use crate::catalog::draft::Draft;
use crate::catalog::location::Location;
use crate::catalog::performance_change::Postponed;
use crate::catalog::{Concert, Performance, Venue};
use crate::queue::QueueSettings;
use crate::time::Timestamp;
use crate::webhook::WebhookEndpoint;

/// How much of the digest of a URL is noted, in bytes: enough to see that it changed.
const URL_DIGEST_LEN: usize = 8;

/// Values by name.
pub(super) type Facts = Vec<(&'static str, String)>;

/// The values that differ, in the order of their names in `before` and then in `after`.
pub(super) fn changes(before: Facts, after: Facts) -> Vec<AuditChange> {
    let mut changes = Vec::new();
    let mut after: Vec<(&str, Option<String>)> = after.into_iter().map(|(name, value)| (name, Some(value))).collect();
    for (name, old) in before {
        let new = after.iter_mut().find(|(other, _)| *other == name).and_then(|(_, value)| value.take());
        if new.as_ref() != Some(&old) {
            changes.push(AuditChange { field: name.to_owned(), before: Some(old), after: new });
        }
    }
    let added = after.into_iter().filter_map(|(name, value)| Some((name, value?)));
    changes.extend(added.map(|(name, value)| AuditChange { field: name.to_owned(), before: None, after: Some(value) }));
    changes
}

pub(super) fn moment(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

pub(super) fn venue(venue: &Venue) -> Facts {
    let mut facts = vec![("name", venue.name.as_str().to_owned()), ("seats_total", venue.chart.capacity().to_string())];
    if let Some(Location { city, country, time_zone }) = &venue.location {
        let (city, country) = (city.as_str().to_owned(), country.code().to_owned());
        facts.extend([("city", city), ("country_code", country), ("time_zone", time_zone.name().to_owned())]);
    }
    facts
}

pub(super) fn concert(concert: &Concert) -> Facts {
    vec![("title", concert.title.as_str().to_owned()), ("artist", concert.artist.as_str().to_owned())]
}

fn performance(performance: &Performance) -> Facts {
    let Performance { concert, venue, starts_at, on_sale, prices, seats_per_fan, hold_for, has_queue, .. } =
        performance;
    let price = |minor: &Option<i64>| minor.map_or("-".to_owned(), |minor| minor.to_string());
    let minor: Vec<String> = prices.minor_by_grade.iter().map(price).collect();
    vec![
        ("concert_id", concert.to_string()),
        ("venue_id", venue.to_string()),
        ("starts_at", moment(*starts_at)),
        ("on_sale_opens_at", moment(on_sale.opens_at)),
        ("on_sale_closes_at", moment(on_sale.closes_at)),
        ("prices", format!("{} {}", minor.join(","), prices.currency)),
        ("seats_per_fan", seats_per_fan.to_string()),
        ("hold_duration_ms", hold_for.as_millis().to_string()),
        ("has_queue", has_queue.to_string()),
    ]
}

/// A performance with what became of it.
pub(super) fn amended(of: &Performance) -> Facts {
    let mut facts = performance(of);
    if let Some(Postponed { from, refunds_until, .. }) = of.amended.postponed {
        facts.extend([("postponed_from", moment(from)), ("refunds_until", moment(refunds_until))]);
    }
    facts.extend(of.amended.withdrawn_at.map(|at| ("withdrawn_at", moment(at))));
    facts
}

/// A performance with the settings of its queue and the opening of its pre-queue, if it has them.
pub(super) fn sale(of: &Performance, with_queue: Option<(&QueueSettings, Option<Timestamp>)>) -> Facts {
    let mut facts = performance(of);
    if let Some((settings, pre_queue_opens_at)) = with_queue {
        facts.extend(queue(settings));
        facts.extend(pre_queue_opens_at.map(|at| ("pre_queue_opens_at", moment(at))));
    }
    facts
}

pub(super) fn draft(draft: &Draft) -> Facts {
    let queue = draft.queue.as_ref().map(|queue| (&queue.settings, queue.pre_queue_opens_at));
    sale(&draft.performance, queue)
}

pub(super) fn queue(settings: &QueueSettings) -> Facts {
    let lanes = settings.lanes.as_slice().iter().map(|lane| format!("{}:{}", lane.name.as_str(), lane.weight));
    let lanes: Vec<String> = lanes.collect();
    let mut facts = vec![
        ("rate", format!("{} per {} ms", settings.rate.admissions, settings.rate.period.as_millis())),
        ("batch", settings.batch.to_string()),
        ("max_active", settings.max_active.to_string()),
        ("paused", settings.paused.to_string()),
        ("draining", settings.draining.to_string()),
        ("accept_window_ms", settings.accept_window.as_millis().to_string()),
        ("active_duration_ms", settings.active_duration.as_millis().to_string()),
        ("grace_ms", settings.grace.as_millis().to_string()),
        ("hold_tries", settings.hold_tries.unwrap_or_default().to_string()),
        ("lanes", lanes.join(",")),
    ];
    facts.extend(settings.message.as_ref().map(|message| ("message", message.as_str().to_owned())));
    facts
}

/// An endpoint of webhooks without its secrets, of which the URL may be one: its digest tells that it changed.
pub(super) fn endpoint(endpoint: &WebhookEndpoint) -> Facts {
    let WebhookEndpoint { url, filter, secrets, disabled, .. } = endpoint;
    let digest = Sha256::digest(url.as_str());
    let digest = digest[..URL_DIGEST_LEN].iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    let performances: Vec<String> = filter.performances.iter().map(ToString::to_string).collect();
    let mut facts = vec![
        ("url_origin", url.origin()),
        ("url_digest", digest),
        ("types", filter.kinds.join(",")),
        ("performance_ids", performances.join(",")),
        ("secret_id", secrets.current.id.to_string()),
    ];
    facts.extend(disabled.map(|disabled| ("disabled", disabled.why.as_str().to_uppercase())));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_a_change() {
        let facts = |facts: &[(&'static str, &str)]| facts.iter().map(|(name, it)| (*name, (*it).to_owned())).collect();
        let before = facts(&[("kept", "1"), ("changed", "2"), ("gone", "3")]);
        let after = facts(&[("new", "4"), ("changed", "5"), ("kept", "1")]);
        let change = |field: &str, before: Option<&str>, after: Option<&str>| AuditChange {
            field: field.into(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        let expected =
            [change("changed", Some("2"), Some("5")), change("gone", Some("3"), None), change("new", None, Some("4"))];
        assert_eq!(changes(before, after), expected);
    }
}
