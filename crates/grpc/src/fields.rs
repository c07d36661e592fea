//! Reading the fields of a request: every violation is collected, so that a caller learns all that is wrong at once.

use std::fmt::Display;
use std::time::Duration;

use chrono::{DateTime, Datelike};
use encore_app::error::{AppError, Violation};
use encore_domain::catalog::seat_chart::CHART_NAME_MAX_LEN;
use encore_domain::ids::{RequestId, UserId};
use encore_domain::money::{Currency, Money};
use encore_domain::page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, PageRequest};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use encore_proto::common::v1 as pb;
use prost::Message;
use tonic::Status;
use uuid::Uuid;

use crate::page_token::Cursor;
use crate::sent_body::Call;
use crate::status::status;

/// The years that `google.protobuf.Timestamp` can say.
const TIMESTAMP_YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// What is wrong with a request so far. Readers answer `None` where they noted a violation.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    violations: Vec<Violation>,
}

impl Fields {
    /// Notes a violation.
    pub(crate) fn refuse(&mut self, field: &str, rule: impl Into<String>) {
        self.violations.push(Violation::new(field, rule));
    }

    /// Notes the error of a parsed value.
    pub(crate) fn read<T, E: Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|rule| self.refuse(field, rule.to_string())).ok()
    }

    /// A required UUID in its hyphenated form.
    pub(crate) fn id<T: From<Uuid>>(&mut self, field: &str, text: &str) -> Option<T> {
        const HYPHENATED_LEN: usize = 36;
        let parsed = Uuid::parse_str(text).ok().filter(|_| text.len() == HYPHENATED_LEN);
        self.read(field, parsed.map(T::from).ok_or("must be a UUID such as 0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6"))
    }

    /// The key of a request that must carry an id.
    pub(crate) fn request<M: Message>(&mut self, user: UserId, id: &str, call: &Call<'_, M>) -> Option<RequestKey> {
        let id = self.id::<RequestId>("request_id", id)?;
        Some(RequestKey { user, id, fingerprint: call.fingerprint() })
    }

    /// The key of a request that may carry an id. The outer option says whether the field was good.
    #[expect(clippy::option_option, reason = "whether it was good, and whether it was there")]
    pub(crate) fn optional_request<M: Message>(
        &mut self,
        user: UserId,
        id: &str,
        call: &Call<'_, M>,
    ) -> Option<Option<RequestKey>> {
        if id.is_empty() { Some(None) } else { self.request(user, id, call).map(Some) }
    }

    /// A required moment, cut to whole milliseconds.
    pub(crate) fn timestamp(&mut self, field: &str, value: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
        let Some(value) = value else {
            self.refuse(field, "must be set");
            return None;
        };
        let nanos = u32::try_from(value.nanos).ok();
        let moment = nanos.and_then(|nanos| DateTime::from_timestamp(value.seconds, nanos / 1_000_000 * 1_000_000));
        let moment = moment.filter(|moment| TIMESTAMP_YEARS.contains(&moment.year()));
        self.read(field, moment.ok_or("must be a moment in the years 1 to 9999"))
    }

    /// A duration that is not negative.
    pub(crate) fn duration(&mut self, field: &str, value: &prost_types::Duration) -> Option<Duration> {
        let parts = u64::try_from(value.seconds).ok().zip(u32::try_from(value.nanos).ok());
        let duration =
            parts.filter(|(_, nanos)| *nanos < 1_000_000_000).map(|(secs, nanos)| Duration::new(secs, nanos));
        self.read(field, duration.ok_or("must be a duration that is not negative"))
    }

    /// A required amount with a well-formed currency. Its bounds are the caller's to check.
    pub(crate) fn money(&mut self, field: &str, value: Option<&pb::Money>) -> Option<Money> {
        let Some(value) = value else {
            self.refuse(field, "must be set");
            return None;
        };
        let currency = self.read(&format!("{field}.currency_code"), Currency::parse(&value.currency_code))?;
        Some(Money { minor: value.amount_minor, currency })
    }

    /// A list of names of the chart, which may be empty.
    pub(crate) fn names(&mut self, field: &str, names: &[String], max: usize) {
        if names.len() > max {
            self.refuse(field, format!("must name at most {max}"));
        }
        for (index, name) in names.iter().enumerate().take(max) {
            if !(1..=CHART_NAME_MAX_LEN).contains(&name.len()) {
                self.refuse(&format!("{field}[{index}]"), format!("must be 1 to {CHART_NAME_MAX_LEN} bytes"));
            }
        }
    }

    /// A page of an ordinary listing.
    pub(crate) fn page<C: Cursor>(&mut self, size: u32, token: &str) -> Option<PageRequest<C>> {
        self.page_of(size, token, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
    }

    /// A page of a listing with its own sizes.
    pub(crate) fn page_of<C: Cursor>(
        &mut self,
        size: u32,
        token: &str,
        default: u32,
        max: u32,
    ) -> Option<PageRequest<C>> {
        let size = if size == 0 { default } else { size };
        let size = self.read("page_size", if size <= max { Ok(size) } else { Err(format!("must be at most {max}")) });
        let after = if token.is_empty() { Some(None) } else { self.cursor(token).map(Some) };
        Some(PageRequest { size: size?, after: after? })
    }

    fn cursor<C: Cursor>(&mut self, token: &str) -> Option<C> {
        self.read("page_token", C::decode(token).ok_or("must be the next_page_token of the reply before"))
    }

    /// The refusal that lists all violations.
    pub(crate) fn into_status(self) -> Status {
        status(AppError::Invalid(self.violations))
    }

    /// Refuses if anything is wrong.
    pub(crate) fn finish(self) -> Result<(), Status> {
        if self.violations.is_empty() { Ok(()) } else { Err(self.into_status()) }
    }
}
