//! A queue as a row. The settings are also stored as the answer of a patch, and in events.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use encore_domain::queue::{DrawKey, Lane, LaneName, Lanes, Queue, QueueDraw, QueueMessage, QueueRate, QueueSettings};
use serde::{Deserialize, Serialize};

use crate::codec::{duration_ms, read_duration_ms};
use crate::error::corrupt;
use crate::schema::queues;

/// What operators can change. The defaults are for stored answers that are older than a column.
#[derive(Queryable, Selectable, Insertable, AsChangeset, Serialize, Deserialize)]
#[diesel(table_name = queues, treat_none_as_null = true)]
pub struct QueueRow {
    rate_admissions: i32,
    rate_period_ms: i64,
    batch: i32,
    max_active: i32,
    paused: bool,
    accept_window_ms: i64,
    active_duration_ms: i64,
    grace_ms: i64,
    #[serde(default)]
    draining: bool,
    hold_tries: Option<i32>,
    message: Option<String>,
    #[serde(default = "default_lane_names")]
    lane_names: Vec<String>,
    #[serde(default = "default_lane_weights")]
    lane_weights: Vec<i32>,
}

fn default_lane_names() -> Vec<String> {
    lane_names(&Lanes::default())
}

fn default_lane_weights() -> Vec<i32> {
    lane_weights(&Lanes::default())
}

fn lane_names(lanes: &Lanes) -> Vec<String> {
    lanes.as_slice().iter().map(|lane| lane.name.as_str().to_owned()).collect()
}

fn lane_weights(lanes: &Lanes) -> Vec<i32> {
    lanes.as_slice().iter().map(|lane| lane.weight.cast_signed()).collect()
}

impl From<&QueueSettings> for QueueRow {
    fn from(settings: &QueueSettings) -> Self {
        Self {
            rate_admissions: settings.rate.admissions.cast_signed(),
            rate_period_ms: duration_ms(settings.rate.period),
            batch: settings.batch.cast_signed(),
            max_active: settings.max_active.cast_signed(),
            paused: settings.paused,
            accept_window_ms: duration_ms(settings.accept_window),
            active_duration_ms: duration_ms(settings.active_duration),
            grace_ms: duration_ms(settings.grace),
            draining: settings.draining,
            hold_tries: settings.hold_tries.map(u32::cast_signed),
            message: settings.message.as_ref().map(|message| message.as_str().to_owned()),
            lane_names: lane_names(&settings.lanes),
            lane_weights: lane_weights(&settings.lanes),
        }
    }
}

impl QueueRow {
    pub fn into_settings(self) -> QueryResult<QueueSettings> {
        Ok(QueueSettings {
            rate: QueueRate {
                admissions: self.rate_admissions.cast_unsigned(),
                period: read_duration_ms(self.rate_period_ms),
            },
            batch: self.batch.cast_unsigned(),
            max_active: self.max_active.cast_unsigned(),
            paused: self.paused,
            draining: self.draining,
            accept_window: read_duration_ms(self.accept_window_ms),
            active_duration: read_duration_ms(self.active_duration_ms),
            grace: read_duration_ms(self.grace_ms),
            hold_tries: self.hold_tries.map(i32::cast_unsigned),
            message: self.message.as_deref().map(read_message).transpose()?.flatten(),
            lanes: read_lanes(&self.lane_names, &self.lane_weights)?,
        })
    }
}

fn read_message(text: &str) -> QueryResult<Option<QueueMessage>> {
    QueueMessage::parse(text).map_err(|_| corrupt("queue message", text))
}

fn read_lanes(names: &[String], weights: &[i32]) -> QueryResult<Lanes> {
    let read = |(name, weight): (&String, &i32)| {
        let name = LaneName::parse(name).map_err(|_| corrupt("lane name", name))?;
        Lane::new(name, weight.cast_unsigned()).map_err(|_| corrupt("lane weight", weight))
    };
    let lanes = names.iter().zip(weights).map(read).collect::<QueryResult<_>>()?;
    Lanes::new(lanes).map_err(|error| corrupt("list of lanes", &error))
}

/// What never changes. It is not stored in answers, because the key is secret.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = queues)]
pub struct QueueDrawRow {
    pre_queue_opens_at: Option<DateTime<Utc>>,
    draw_key: Option<Vec<u8>>,
}

impl From<Option<QueueDraw>> for QueueDrawRow {
    fn from(draw: Option<QueueDraw>) -> Self {
        Self {
            pre_queue_opens_at: draw.map(|draw| draw.pre_queue_opens_at),
            draw_key: draw.map(|draw| draw.key.0.to_vec()),
        }
    }
}

impl QueueDrawRow {
    fn into_draw(self) -> QueryResult<Option<QueueDraw>> {
        let Some((pre_queue_opens_at, key)) = self.pre_queue_opens_at.zip(self.draw_key) else {
            return Ok(None);
        };
        let key = DrawKey(key.try_into().map_err(|_| corrupt("draw key", "a key of the wrong length"))?);
        Ok(Some(QueueDraw { pre_queue_opens_at, key }))
    }
}

/// Reads a queue from the two parts of its row.
pub fn read_queue((settings, draw): (QueueRow, QueueDrawRow)) -> QueryResult<Queue> {
    Ok(Queue { settings: settings.into_settings()?, draw: draw.into_draw()? })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_stored_answer_without_lanes_reads_as_one_lane() {
        let stored = json!({
            "rate_admissions": 5, "rate_period_ms": 1_000, "batch": 7, "max_active": 9, "paused": true,
            "accept_window_ms": 30_000, "active_duration_ms": 600_000, "grace_ms": 120_000,
        });
        let row: QueueRow = serde_json::from_value(stored).expect("a row");
        let rate = QueueRate { admissions: 5, period: Duration::from_secs(1) };
        let expected = QueueSettings { rate, batch: 7, max_active: 9, paused: true, ..QueueSettings::default() };
        assert_eq!(row.into_settings().expect("settings"), expected);
    }

    #[test]
    fn an_answer_is_stored_under_these_keys() {
        let stored = json!({
            "rate_admissions": 200, "rate_period_ms": 10_000, "batch": 200, "max_active": 12_000, "paused": false,
            "accept_window_ms": 30_000, "active_duration_ms": 600_000, "grace_ms": 120_000, "draining": false,
            "hold_tries": null, "message": null, "lane_names": ["general"], "lane_weights": [1],
        });
        let row = QueueRow::from(&QueueSettings::default());
        assert_eq!(serde_json::to_value(row).expect("an answer"), stored);
    }
}
