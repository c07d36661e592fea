//! Decodes the snapshot of a queue.

use std::collections::{HashMap, HashSet};

use encore_domain::error::Unavailable;
use encore_domain::queue::NumberMap;
use encore_domain::queue::snapshot::{LaneSnapshot, QueueFlow, QueueSnapshot};
use encore_domain::queue::{LaneNumber, Pace, PaceSample, TokenBucket};
use encore_domain::time::Timestamp;

use crate::reply::{timestamp, unexpected};

/// The fields of the queue, the lanes, the called numbers, the active numbers, those of them that need an accessible seat, and the
/// samples of the pace.
pub(crate) type SnapshotReply =
    (HashMap<String, String>, Vec<LaneReply>, Vec<(String, i64)>, Vec<(String, i64)>, Vec<String>, Vec<String>);

/// The gone bitmap and the late numbers of a lane, and the index of the first byte and the bytes of the bitmap of those who need an
/// accessible seat.
type LaneReply = (Vec<u8>, Vec<u64>, u64, Vec<u8>);

/// Decodes the reply of `snapshot.lua`.
pub(crate) fn queue_snapshot(
    (fields, lanes, called, active, inside_accessible, samples): SnapshotReply,
) -> Result<QueueSnapshot, Unavailable> {
    let fields = Fields(fields);
    let lanes: Vec<LaneSnapshot> =
        (0..).zip(lanes).map(|(lane, reply)| lane_snapshot(&fields, lane, reply)).collect::<Result<_, _>>()?;
    let joined = (0..lanes.len())
        .zip(&lanes)
        .map(|(lane, state)| Ok(state.tail.saturating_sub(fields.number(&format!("base:{lane}"))?)));
    let flow = QueueFlow {
        joined: joined.sum::<Result<u64, Unavailable>>()?,
        called: lanes.iter().map(|lane| lane.called).sum(),
        accepted: fields.count("accepted")?,
        no_shows: fields.count("no_shows")?,
        left: fields.count("left")?,
        abandoned: fields.count("abandoned")?,
        used: fields.count("used")?,
        expired: fields.count("expired")?,
    };
    Ok(QueueSnapshot {
        epoch: fields.required("epoch")?,
        restored_at: timestamp(fields.required("restored_at")?),
        quiet_until: timestamp(fields.required("quiet_until")?),
        draws: fields.required::<u8>("draws")? == 1,
        lanes,
        called: deadlines(called)?,
        active: deadlines(active)?,
        bucket: fields.bucket()?,
        reserved: fields.required("reserved")?,
        flow,
        inside_accessible: inside_accessible.iter().map(|name| lane_number(name)).collect::<Result<HashSet<_>, _>>()?,
        pace: Pace {
            samples: samples.iter().map(|text| pace_sample(text)).collect::<Result<_, _>>()?,
            idle_at: fields.optional("idle_at")?.map(timestamp),
        },
    })
}

/// Reads `at:inside:called in lane 0:called in lane 1…`.
fn pace_sample(text: &str) -> Result<PaceSample, Unavailable> {
    let sample = || {
        let (at, rest) = text.split_once(':')?;
        let (inside, called) = rest.split_once(':')?;
        let called = called.split(':').map(str::parse).collect::<Result<_, _>>().ok()?;
        Some(PaceSample { at: timestamp(at.parse().ok()?), called, inside: inside.parse().ok()? })
    };
    sample().ok_or_else(|| unexpected(format!("the queue has {text:?} as a sample of its pace")))
}

fn lane_snapshot(
    fields: &Fields,
    lane: u8,
    (gone, late, first_byte, needs_accessible): LaneReply,
) -> Result<LaneSnapshot, Unavailable> {
    let head = fields.required(&format!("head:{lane}"))?;
    Ok(LaneSnapshot {
        head,
        tail: fields.required(&format!("tail:{lane}"))?,
        limit: fields.required(&format!("limit:{lane}"))?,
        drawn: fields.optional(&format!("drawn:{lane}"))?,
        gone: NumberMap::from_bytes(head / 8 * 8, &gone),
        needs_accessible: NumberMap::from_bytes(first_byte * 8, &needs_accessible),
        late,
        called: fields.number(&format!("called:{lane}"))?,
        unseen_after: fields.required(&format!("unseen_after:{lane}"))?,
    })
}

fn deadlines(members: Vec<(String, i64)>) -> Result<HashMap<LaneNumber, Timestamp>, Unavailable> {
    members.into_iter().map(|(name, ms)| Ok((lane_number(&name)?, timestamp(ms)))).collect()
}

fn lane_number(name: &str) -> Result<LaneNumber, Unavailable> {
    let lane_number = || {
        let (lane, number) = name.split_once(':')?;
        Some(LaneNumber { lane: lane.parse().ok()?, number: number.parse().ok()? })
    };
    lane_number().ok_or_else(|| unexpected(format!("the queue has {name:?} as a called or active number")))
}

/// The fields of the queue's hash.
struct Fields(HashMap<String, String>);

impl Fields {
    fn optional<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Unavailable> {
        let read = |text: &String| {
            text.parse().map_err(|_| unexpected(format!("field {name} of a queue cannot be parsed: {text:?}")))
        };
        self.0.get(name).map(read).transpose()
    }

    fn required<T: std::str::FromStr>(&self, name: &str) -> Result<T, Unavailable> {
        self.optional(name)?.ok_or_else(|| unexpected(format!("a queue has no field {name}")))
    }

    /// None before the first admission.
    fn bucket(&self) -> Result<Option<TokenBucket>, Unavailable> {
        let Some(level) = self.optional("level")? else { return Ok(None) };
        Ok(Some(TokenBucket { level, period_ms: self.required("period_ms")?, at_ms: self.required("at_ms")? }))
    }

    /// A number, 0 if the field does not exist.
    fn number(&self, name: &str) -> Result<u64, Unavailable> {
        Ok(self.optional(name)?.unwrap_or(0))
    }

    fn count(&self, what: &str) -> Result<u64, Unavailable> {
        self.number(&format!("flow:{what}"))
    }
}
