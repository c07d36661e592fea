//! Decodes the fields of a request and collects every violation, so that one reply lists them all.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::{DateTime, Datelike};
use encore_app::error::{AppError, Violation};
use encore_domain::catalog::seat_chart::{CHART_NAME_MAX_LEN, chart_name};
use encore_domain::ids::{RequestId, UserId};
use encore_domain::money::{Currency, Money};
use encore_domain::page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageRequest};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use encore_proto::common::v1 as pb;
use prost::Message;
use tonic::Status;
use tracing::Span;
use tracing::field::display;
use uuid::Uuid;

use crate::page_token::{Cursor, Listing};
use crate::sent_body::Call;
use crate::status::status;
use crate::to_proto::DURATION_MAX_SECONDS;

/// The years that `google.protobuf.Timestamp` can represent.
const TIMESTAMP_YEARS: RangeInclusive<i32> = 1..=9999;
/// The nanoseconds of a `google.protobuf.Timestamp`, and of a `google.protobuf.Duration` that is not negative.
const NANOS: RangeInclusive<i32> = 0..=999_999_999;

/// The violations of a request so far. A method that records a violation returns `None`.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    violations: Vec<Violation>,
}

impl Fields {
    /// Records a violation.
    pub(crate) fn refuse(&mut self, field: &str, rule: impl Into<String>) {
        self.violations.push(Violation::new(field, rule));
    }

    /// Records the error of a parsed value.
    pub(crate) fn read<T, E: Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|rule| self.refuse(field, rule.to_string())).ok()
    }

    /// A required UUID in its hyphenated form.
    pub(crate) fn id<T: From<Uuid>>(&mut self, field: &str, text: &str) -> Option<T> {
        const HYPHENATED_LEN: usize = 36;
        let parsed = Uuid::parse_str(text).ok().filter(|_| text.len() == HYPHENATED_LEN);
        self.read(field, parsed.map(T::from).ok_or("must be a UUID such as 0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6"))
    }

    /// A UUID that may be absent.
    pub(crate) fn optional_id<T: From<Uuid>>(&mut self, field: &str, text: &str) -> Option<T> {
        if text.is_empty() { None } else { self.id(field, text) }
    }

    /// The key of a request that must carry an id.
    pub(crate) fn request<M: Message>(&mut self, user: UserId, id: &str, call: &Call<'_, M>) -> Option<RequestKey> {
        let id = self.id::<RequestId>("request_id", id)?;
        Span::current().record("request_id", display(id));
        Some(RequestKey { user, id, fingerprint: call.fingerprint() })
    }

    /// The key of a request that may carry an id. The outer option is `None` if the field is invalid.
    #[expect(clippy::option_option, reason = "the outer is validity, the inner is presence")]
    pub(crate) fn optional_request<M: Message>(
        &mut self,
        user: UserId,
        id: &str,
        call: &Call<'_, M>,
    ) -> Option<Option<RequestKey>> {
        if id.is_empty() { Some(None) } else { self.request(user, id, call).map(Some) }
    }

    /// The states of the field `states`, of which none may be named twice.
    pub(crate) fn states<S: PartialEq>(&mut self, values: &[i32], read: impl Fn(i32) -> Option<S>) -> Option<Vec<S>> {
        let mut states = Vec::new();
        let mut is_valid = true;
        for (index, state) in values.iter().enumerate() {
            if let Some(state) = read(*state).filter(|state| !states.contains(state)) {
                states.push(state);
            } else {
                is_valid = false;
                self.refuse(&format!("states[{index}]"), "must be a state, named once");
            }
        }
        is_valid.then_some(states)
    }

    /// A required point in time, truncated to milliseconds.
    pub(crate) fn timestamp(&mut self, field: &str, value: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
        let Some(value) = value else {
            self.refuse(field, "must be set");
            return None;
        };
        let nanos = nanos(value.nanos);
        let moment = nanos.and_then(|nanos| DateTime::from_timestamp(value.seconds, nanos / 1_000_000 * 1_000_000));
        let moment = moment.filter(|moment| TIMESTAMP_YEARS.contains(&moment.year()));
        self.read(field, moment.ok_or("must be a timestamp in the years 1 to 9999 with 0 to 999999999 nanos"))
    }

    /// A point in time that may be absent.
    pub(crate) fn optional_timestamp(
        &mut self,
        field: &str,
        value: Option<&prost_types::Timestamp>,
    ) -> Option<Timestamp> {
        value.and_then(|value| self.timestamp(field, Some(value)))
    }

    /// A duration that is not negative.
    pub(crate) fn duration(&mut self, field: &str, value: &prost_types::Duration) -> Option<Duration> {
        let seconds = u64::try_from(value.seconds).ok().filter(|seconds| *seconds <= DURATION_MAX_SECONDS);
        let parts = seconds.zip(nanos(value.nanos));
        let duration = parts.map(|(seconds, nanos)| Duration::new(seconds, nanos));
        let rule = "must be a duration of 0 to 315576000000 seconds with 0 to 999999999 nanos";
        self.read(field, duration.ok_or(rule))
    }

    /// A required amount with a well-formed currency. The bounds of the amount are checked by the caller.
    pub(crate) fn money(&mut self, field: &str, value: Option<&pb::Money>) -> Option<Money> {
        let Some(value) = value else {
            self.refuse(field, "must be set");
            return None;
        };
        let currency = self.read(&format!("{field}.currency_code"), Currency::parse(&value.currency_code))?;
        Some(Money { minor: value.amount_minor, currency })
    }

    /// A list of names from a seat chart, normalized. It may be empty.
    pub(crate) fn names(&mut self, field: &str, names: &[String], max: usize) -> Vec<String> {
        if names.len() > max {
            self.refuse(field, format!("must name at most {max}"));
        }
        let named = names.iter().enumerate().take(max);
        named.filter_map(|(index, name)| self.name(&format!("{field}[{index}]"), name)).collect()
    }

    /// A name from a seat chart, normalized.
    pub(crate) fn name(&mut self, field: &str, name: &str) -> Option<String> {
        let rule =
            || format!("must be 1 to {CHART_NAME_MAX_LEN} bytes without control, invisible or unassigned characters");
        self.read(field, chart_name(name).map(Cow::into_owned).ok_or_else(rule))
    }

    /// A page of a listing with the default and largest sizes.
    pub(crate) fn page<C: Cursor>(&mut self, listing: &Listing<'_>, size: u32, token: &str) -> Option<PageRequest<C>> {
        self.page_of(listing, size, token, PAGE_SIZE_DEFAULT..=PAGE_SIZE_MAX)
    }

    /// A page of a listing with its own default and largest size.
    pub(crate) fn page_of<C: Cursor>(
        &mut self,
        listing: &Listing<'_>,
        size: u32,
        token: &str,
        default_and_max: RangeInclusive<u32>,
    ) -> Option<PageRequest<C>> {
        let (default, max) = default_and_max.into_inner();
        let size = if size == 0 { default } else { size };
        let size = self.read("page_size", if size <= max { Ok(size) } else { Err(format!("must be at most {max}")) });
        let rule = "must be the next_page_token of the previous page of this listing, with the same filter";
        let after = if token.is_empty() {
            Some(None)
        } else {
            self.read("page_token", listing.cursor(token).ok_or(rule)).map(Some)
        };
        Some(PageRequest { size: size?, after: after? })
    }

    /// Takes the violations of a message that is this field.
    pub(crate) fn absorb(&mut self, field: &str, of: Self) {
        let within = of.violations.into_iter().map(|it| Violation::new(format!("{field}.{}", it.field), it.rule));
        self.violations.extend(within);
    }

    /// The status that lists all violations.
    pub(crate) fn into_status(self) -> Status {
        status(AppError::Invalid(self.violations))
    }

    /// Refuses the request if there is a violation.
    pub(crate) fn finish(self) -> Result<(), Status> {
        if self.violations.is_empty() { Ok(()) } else { Err(self.into_status()) }
    }
}

/// The nanoseconds of a time, if they are in range.
fn nanos(value: i32) -> Option<u32> {
    u32::try_from(value).ok().filter(|_| NANOS.contains(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_one_that_every_client_can_read() {
        let of = |seconds, nanos| Fields::default().timestamp("at", Some(&prost_types::Timestamp { seconds, nanos }));
        let (first, last) = (-62_135_596_800, 253_402_300_799);
        for (seconds, nanos) in [(first, 0), (last, 999_999_999), (59, 999_999_999)] {
            assert_eq!(of(seconds, nanos).map(|at| at.timestamp()), Some(seconds), "{seconds} {nanos}");
        }
        let outside = [
            (first - 1, 999_999_999),
            (last + 1, 0),
            (i64::MIN, 0),
            (i64::MAX, 0),
            (0, -1),
            (0, 1_000_000_000),
            // chrono takes a leap second in the last second of a minute.
            (59, 1_000_000_000),
            (59, 1_500_000_000),
            (59, i32::MAX),
            (0, i32::MIN),
        ];
        for (seconds, nanos) in outside {
            assert_eq!(of(seconds, nanos), None, "{seconds} {nanos}");
        }
    }

    #[test]
    fn a_duration_is_one_that_every_client_can_read() {
        let of = |seconds, nanos| Fields::default().duration("for", &prost_types::Duration { seconds, nanos });
        assert_eq!(of(0, 0), Some(Duration::ZERO));
        assert_eq!(of(315_576_000_000, 999_999_999), Some(Duration::new(315_576_000_000, 999_999_999)));
        let outside =
            [(315_576_000_001, 0), (i64::MAX, 0), (-1, 0), (i64::MIN, 0), (0, -1), (1, -1), (1, 1_000_000_000)];
        for (seconds, nanos) in outside {
            assert_eq!(of(seconds, nanos), None, "{seconds} {nanos}");
        }
    }

    #[test]
    fn a_violation_names_its_field() {
        let mut fields = Fields::default();
        fields.timestamp("starts_at", Some(&prost_types::Timestamp { seconds: 59, nanos: 1_500_000_000 }));
        fields.duration("hold_duration", &prost_types::Duration { seconds: i64::MAX, nanos: 0 });
        let violated: Vec<_> = fields.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(violated, ["starts_at", "hold_duration"]);
    }

    #[test]
    fn names_are_normalized_before_they_are_compared() {
        let mut fields = Fields::default();
        let names = ["Zo\u{EB}", " Zoe\u{308}", "Flo\u{200B}or", ""].map(str::to_owned);
        assert_eq!(fields.names("sections", &names, 4), ["Zo\u{EB}", "Zo\u{EB}"]);
        let violated: Vec<_> = fields.violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(violated, ["sections[2]", "sections[3]"]);
    }
}
