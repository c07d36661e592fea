//! The settings of a line as a row, and as the kept answer of a patch.

use diesel::prelude::*;
use encore_domain::queue::{LineRate, LineSettings};
use serde::{Deserialize, Serialize};

use crate::codec::{duration_ms, read_duration_ms};
use crate::schema::lines;

#[derive(Queryable, Selectable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = lines)]
pub struct LineRow {
    rate_admissions: i32,
    rate_period_ms: i64,
    batch: i32,
    cap: i32,
    paused: bool,
    claim_window_ms: i64,
    active_for_ms: i64,
    grace_ms: i64,
}

impl From<LineSettings> for LineRow {
    fn from(settings: LineSettings) -> Self {
        Self {
            rate_admissions: settings.rate.admissions.cast_signed(),
            rate_period_ms: duration_ms(settings.rate.period),
            batch: settings.batch.cast_signed(),
            cap: settings.cap.cast_signed(),
            paused: settings.paused,
            claim_window_ms: duration_ms(settings.claim_window),
            active_for_ms: duration_ms(settings.active_for),
            grace_ms: duration_ms(settings.grace),
        }
    }
}

impl From<LineRow> for LineSettings {
    fn from(row: LineRow) -> Self {
        Self {
            rate: LineRate {
                admissions: row.rate_admissions.cast_unsigned(),
                period: read_duration_ms(row.rate_period_ms),
            },
            batch: row.batch.cast_unsigned(),
            cap: row.cap.cast_unsigned(),
            paused: row.paused,
            claim_window: read_duration_ms(row.claim_window_ms),
            active_for: read_duration_ms(row.active_for_ms),
            grace: read_duration_ms(row.grace_ms),
        }
    }
}
