//! Conversions to protobuf that several capabilities share.

use std::time::Duration;

use encore_domain::money::Money;
use encore_domain::time::Timestamp;
use encore_proto::common::v1 as pb;

/// The most seconds of a `google.protobuf.Duration`.
pub(crate) const DURATION_MAX_SECONDS: u64 = 315_576_000_000;

pub(crate) fn money(money: Money) -> pb::Money {
    pb::Money { amount_minor: money.minor, currency_code: money.currency.to_string() }
}

pub(crate) fn timestamp(moment: Timestamp) -> prost_types::Timestamp {
    // chrono counts the nanoseconds of a leap second beyond the end of its second; protobuf does not.
    let nanos = i32::try_from(moment.timestamp_subsec_nanos().min(999_999_999)).unwrap_or_default();
    prost_types::Timestamp { seconds: moment.timestamp(), nanos }
}

/// A duration; the longest one of protobuf if it is longer.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    let duration = duration.min(Duration::from_secs(DURATION_MAX_SECONDS));
    let seconds = i64::try_from(duration.as_secs()).unwrap_or_default();
    let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or_default();
    prost_types::Duration { seconds, nanos }
}
