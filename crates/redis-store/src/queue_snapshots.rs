//! Decodes the snapshot of a queue.

use std::collections::HashMap;

use encore_domain::error::Unavailable;
use encore_domain::queue::snapshot::{GoneMap, LaneSnapshot, QueueFlow, QueueSnapshot};
use encore_domain::queue::{LaneNumber, TokenBucket};
use encore_domain::time::Timestamp;

use crate::reply::{timestamp, unexpected};

/// The fields of the queue, the gone bitmap and late numbers of each lane, the called numbers, the active numbers.
pub(crate) type SnapshotReply =
    (HashMap<String, String>, Vec<(Vec<u8>, Vec<u64>)>, Vec<(String, i64)>, Vec<(String, i64)>);

/// Decodes the reply of `snapshot.lua`.
pub(crate) fn queue_snapshot((fields, lanes, called, active): SnapshotReply) -> Result<QueueSnapshot, Unavailable> {
    let fields = Fields(fields);
    let lanes: Vec<LaneSnapshot> = (0..)
        .zip(lanes)
        .map(|(lane, (gone, late))| lane_snapshot(&fields, lane, &gone, late))
        .collect::<Result<_, _>>()?;
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
    })
}

fn lane_snapshot(fields: &Fields, lane: u8, gone: &[u8], late: Vec<u64>) -> Result<LaneSnapshot, Unavailable> {
    let head = fields.required(&format!("head:{lane}"))?;
    Ok(LaneSnapshot {
        head,
        tail: fields.required(&format!("tail:{lane}"))?,
        limit: fields.required(&format!("limit:{lane}"))?,
        drawn: fields.optional(&format!("drawn:{lane}"))?,
        gone: GoneMap::from_bytes(head / 8 * 8, gone),
        late,
        called: fields.number(&format!("called:{lane}"))?,
        unseen_after: fields.required(&format!("unseen_after:{lane}"))?,
    })
}

fn deadlines(members: Vec<(String, i64)>) -> Result<HashMap<LaneNumber, Timestamp>, Unavailable> {
    let lane_number = |name: &str| {
        let (lane, number) = name.split_once(':')?;
        Some(LaneNumber { lane: lane.parse().ok()?, number: number.parse().ok()? })
    };
    let read = |(name, ms): (String, i64)| {
        let lane_number = lane_number(&name)
            .ok_or_else(|| unexpected(format!("the queue has {name:?} as a called or active number")))?;
        Ok((lane_number, timestamp(ms)))
    };
    members.into_iter().map(read).collect()
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
