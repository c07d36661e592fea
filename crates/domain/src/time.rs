//! Time as a value that is handed in.

use chrono::{DateTime, Utc};

/// A moment in UTC, in whole milliseconds: the precision that every store and token keeps.
pub type Timestamp = DateTime<Utc>;
