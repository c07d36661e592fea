//! Conversions to protobuf that several capabilities share.

use std::time::Duration;

use encore_domain::money::Money;
use encore_domain::time::Timestamp;
use encore_proto::common::v1 as pb;

pub(crate) fn money(money: Money) -> pb::Money {
    pb::Money { amount_minor: money.minor, currency_code: money.currency.to_string() }
}

pub(crate) fn timestamp(moment: Timestamp) -> prost_types::Timestamp {
    let nanos = i32::try_from(moment.timestamp_subsec_nanos()).unwrap_or_default();
    prost_types::Timestamp { seconds: moment.timestamp(), nanos }
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    let nanos = i32::try_from(duration.subsec_nanos()).unwrap_or_default();
    prost_types::Duration { seconds, nanos }
}
