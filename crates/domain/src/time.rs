//! Time, which is passed in as a value.

use chrono::{DateTime, Utc};

/// A time in UTC, in whole milliseconds, which is the precision of every store and token.
pub type Timestamp = DateTime<Utc>;
