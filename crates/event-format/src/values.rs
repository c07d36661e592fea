//! Values that many messages have.

use encore_domain::money::Money;
use encore_domain::time::Timestamp;
use encore_proto::common::v1 as common;

pub(crate) fn money(money: Money) -> common::Money {
    common::Money { amount_minor: money.minor, currency_code: money.currency.to_string() }
}

pub(crate) fn timestamp(moment: Timestamp) -> prost_types::Timestamp {
    // chrono counts the nanoseconds of a leap second beyond the end of its second; protobuf does not.
    let nanos = i32::try_from(moment.timestamp_subsec_nanos().min(999_999_999)).unwrap_or_default();
    prost_types::Timestamp { seconds: moment.timestamp(), nanos }
}
