use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::booking::seat_state::StockByNeed;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{
    Absent, CutLane, FrozenLane, JoinRefusal, Joined, Joining, Presence, QueueLost, QueueStore, RequestReused,
    TokenRefusal,
};
use encore_domain::queue::snapshot::QueueSnapshot;
use encore_domain::queue::{
    AdmissionTerms, EndReason, EndedToken, LANES_MAX, LaneNumber, QueueToken, QueueTokenPayload, RestoredLane,
    RestoredQueue, TokenState,
};
use encore_domain::request::RequestKey;
use encore_domain::time::Timestamp;
use redis::{Script, ScriptInvocation};

use crate::connection::Redis;
use crate::presence::{pack, periods_within_grace, seen_ttl_ms};
use crate::queue_bits::{bitmap, numbers, reasons};
use crate::queue_joins::{JoinReply, add_request, replaced_token};
use crate::queue_snapshots::{SnapshotReply, queue_snapshot};
use crate::reply::{millis, reason_byte, token_refusal, token_state, unexpected};

/// The most numbers that one run of the admission script calls, so that it blocks Redis for a few milliseconds at most. More
/// numbers take several runs.
const CALLED_PER_RUN: i64 = 1_000;

macro_rules! script {
    ($($name:ident = $($file:literal)+;)+) => {$(
        static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("lua/queue/queue.lua"), $(include_str!(concat!("lua/queue/", $file))),+))
        });
    )+};
}

script! {
    ABANDON_ABSENT = "abandon_absent.lua";
    ADMIT = "admit.lua";
    ACCEPT = "token.lua" "accept.lua";
    CUT = "cut.lua";
    END = "token.lua" "end.lua";
    EXTEND = "extend.lua";
    FIND_JOIN = "requests.lua" "find_join.lua";
    FREEZE = "freeze.lua";
    JOIN = "join.lua" "join_without_request.lua";
    JOIN_WITH_REQUEST = "requests.lua" "join.lua" "join_with_request.lua";
    NOTE_LEAVE = "requests.lua" "token.lua" "note_leave.lua";
    OPEN = "open.lua";
    REPORT_PRESENT = "report_present.lua";
    RETURN_HOLD_TRY = "token.lua" "return_hold_try.lua";
    SHOW = "show.lua";
    SNAPSHOT = "snapshot.lua";
    SPEND_HOLD_TRY = "token.lua" "spend_hold_try.lua";
    STATE = "token.lua" "state.lua";
}

/// The reply of `freeze.lua` about one lane: the bitmaps of the gone, of the unseen and of those who need an
/// accessible seat.
type FrozenReply = (Vec<u8>, Vec<u8>, Vec<u8>);

/// [`QueueStore`] as counters and bitmaps. A fan costs a few bits, and one entry in the hash of members.
///
/// The user of a queue token is trusted, because queue tokens are signed.
#[derive(Clone)]
pub struct RedisQueueStore {
    redis: Redis,
}

impl RedisQueueStore {
    /// Stores queues in this Redis.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// Prepares a script about a queue.
    fn call<'script>(&self, script: &'script Script, performance: PerformanceId) -> ScriptInvocation<'script> {
        let mut script = script.prepare_invoke();
        script.key(self.redis.keys.queue(performance));
        script
    }

    /// Prepares a script about a queue token, with the arguments that `token.lua` reads.
    fn about<'script>(&self, script: &'script Script, token: &QueueToken, now: Timestamp) -> ScriptInvocation<'script> {
        let payload = &token.payload;
        let mut script = self.call(script, payload.performance);
        script.arg(payload.epoch).arg(payload.lane).arg(payload.index).arg(token.number).arg(token.drawn);
        script.arg(now.timestamp_millis()).arg(payload.user.0.as_bytes().as_slice()).arg(admitted_until(payload));
        script
    }
}

#[async_trait]
impl QueueStore for RedisQueueStore {
    async fn open(&self, performance: PerformanceId, queue: &RestoredQueue) -> Result<bool, Unavailable> {
        let mut open = self.call(&OPEN, performance);
        let was_lost = queue.lanes.iter().any(|lane| lane.tail > 0);
        open.arg(queue.epoch).arg(u8::from(queue.draws)).arg(queue.restored_at.timestamp_millis());
        open.arg(queue.quiet_until.timestamp_millis()).arg(queue.reserved).arg(queue.reserved_until.timestamp_millis());
        open.arg(u8::from(was_lost)).arg(LANES_MAX).arg(queue.lanes.len());
        for (index, lane) in (0..).zip(&queue.lanes) {
            let inside = queue.inside.iter().map(|inside| inside.lane_number).filter(|token| token.lane == index);
            add_lane(&mut open, lane, &inside.map(|token| token.number).collect());
        }
        for inside in &queue.inside {
            open.arg(format!("{}:{}", inside.lane_number.lane, inside.lane_number.number));
            open.arg(inside.until.timestamp_millis()).arg(u8::from(inside.active));
            open.arg(u8::from(inside.needs_accessible));
        }
        self.redis.run(&open).await
    }

    async fn extend(
        &self,
        performance: PerformanceId,
        epoch: i64,
        lane: u8,
        limit: u64,
    ) -> Result<(), PortError<QueueLost>> {
        let mut extend = self.call(&EXTEND, performance);
        extend.arg(epoch).arg(lane).arg(limit);
        unless_lost(self.redis.run::<i64>(&extend).await? - 1).map(drop)
    }

    async fn join(&self, joining: Joining) -> Result<Joined, PortError<JoinRefusal>> {
        let Joining { performance, user, lane, needs_accessible, may_enter, token, presence, request, entry } = joining;
        let script = if request.is_some() { &JOIN_WITH_REQUEST } else { &JOIN };
        let mut join = self.call(script, performance);
        join.arg(user.0.as_bytes().as_slice()).arg(lane).arg(u8::from(may_enter));
        join.arg(presence.now.timestamp_millis()).arg(presence.period()).arg(seen_ttl_ms(presence));
        join.arg(u8::from(needs_accessible));
        match token {
            Some(token) => {
                join.arg(token.payload.lane).arg(token.payload.index).arg(token.number).arg(token.drawn);
            }
            None => {
                join.arg("").arg("").arg("").arg("");
            }
        }
        join.arg(entry.map_or(String::new(), |entry| entry.to_string()));
        if let Some(request) = &request {
            add_request(&mut join, request);
        }
        JoinReply(self.redis.run(&join).await?).read(performance, user, request.as_ref())
    }

    async fn find_join(
        &self,
        performance: PerformanceId,
        request: RequestKey,
    ) -> Result<Option<QueueTokenPayload>, PortError<RequestReused>> {
        let mut find = self.call(&FIND_JOIN, performance);
        find.arg(request.user.0.as_bytes().as_slice()).arg(request.id.0.as_bytes().as_slice());
        JoinReply(self.redis.run(&find).await?).read_found(performance, &request)
    }

    async fn note_leave(
        &self,
        token: &QueueToken,
        request: Option<RequestKey>,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>> {
        let mut note = self.about(&NOTE_LEAVE, token, now);
        match &request {
            Some(request) => add_request(&mut note, request),
            None => {
                note.arg("").arg("");
            }
        }
        note.arg(token.payload.issued_at.timestamp_millis());
        let (name, detail, kept): (String, String, Vec<u8>) = self.redis.run(&note).await?;
        let state = token_state((name, detail))?;
        let is_reused = request.is_some_and(|request| !kept.is_empty() && !request.fingerprint.short().repeats(&kept));
        if is_reused { Err(PortError::Refused(RequestReused.into())) } else { Ok(state) }
    }

    async fn show(
        &self,
        performance: PerformanceId,
        tokens: &[QueueToken],
        presence: Presence,
    ) -> Result<Vec<EndedToken>, PortError<TokenRefusal>> {
        let mut show = self.call(&SHOW, performance);
        show.arg(presence.now.timestamp_millis()).arg(presence.period()).arg(seen_ttl_ms(presence));
        for QueueToken { payload, number, drawn } in tokens {
            show.arg(payload.epoch).arg(payload.user.0.as_bytes().as_slice()).arg(payload.lane).arg(payload.index);
            show.arg(*number).arg(*drawn).arg(payload.issued_at.timestamp_millis());
            show.arg(u8::from(payload.needs_accessible)).arg(admitted_until(payload));
        }
        let reply: Vec<String> = self.redis.run(&show).await?;
        match reply.as_slice() {
            [name, _, replaced @ ..] if name == "ok" => {
                Ok(replaced.iter().map(|token| replaced_token(token)).collect::<Result<_, Unavailable>>()?)
            }
            [name, detail] => Err(token_refusal(name, detail)),
            _ => Err(unexpected(format!("unexpected reply of show.lua: {reply:?}")).into()),
        }
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<QueueSnapshot>, Unavailable> {
        let reply: Option<SnapshotReply> = self.redis.run(&self.call(&SNAPSHOT, performance)).await?;
        reply.map(queue_snapshot).transpose()
    }

    async fn admit(
        &self,
        performance: PerformanceId,
        terms: &AdmissionTerms,
        now: Timestamp,
    ) -> Result<u64, PortError<QueueLost>> {
        let mut admit = self.call(&ADMIT, performance);
        admit.arg(now.timestamp_millis());
        admit.arg(terms.rate.admissions).arg(millis(terms.rate.period).max(1));
        admit.arg(terms.batch).arg(terms.max_active).arg(u8::from(terms.calling));
        admit.arg(millis(terms.accept_window)).arg(CALLED_PER_RUN);
        let seats = |count: fn(StockByNeed) -> u32| terms.stock.map_or(String::new(), |stock| count(stock).to_string());
        admit.arg(seats(|stock| stock.general.free)).arg(seats(|stock| stock.general.held));
        admit.arg(seats(|stock| stock.accessible.free)).arg(seats(|stock| stock.accessible.held));
        for weight in &terms.weights {
            admit.arg(*weight);
        }
        let mut called = 0;
        loop {
            let called_by_run = self.redis.run::<i64>(&admit).await?;
            called += unless_lost(called_by_run)?;
            if called_by_run < CALLED_PER_RUN {
                return Ok(called);
            }
        }
    }

    async fn state(&self, token: &QueueToken, now: Timestamp) -> Result<TokenState, PortError<TokenRefusal>> {
        token_state(self.redis.run(&self.about(&STATE, token, now)).await?)
    }

    async fn accept(
        &self,
        token: &QueueToken,
        active_duration: Duration,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>> {
        let mut accept = self.about(&ACCEPT, token, now);
        accept.arg(millis(active_duration));
        token_state(self.redis.run(&accept).await?)
    }

    async fn end(
        &self,
        token: &QueueToken,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TokenRefusal>> {
        let mut end = self.about(&END, token, now);
        end.arg([reason_byte(reason)].as_slice()).arg(counts_as(reason));
        token_state(self.redis.run(&end).await?)
    }

    async fn spend_hold_try(
        &self,
        token: &QueueToken,
        tries: u32,
        now: Timestamp,
    ) -> Result<bool, PortError<TokenRefusal>> {
        let mut spend = self.about(&SPEND_HOLD_TRY, token, now);
        spend.arg(tries);
        let (name, detail): (String, String) = self.redis.run(&spend).await?;
        if name == "spent" { Ok(detail == "1") } else { Err(token_refusal(&name, &detail)) }
    }

    async fn return_hold_try(&self, token: &QueueToken, now: Timestamp) -> Result<(), PortError<TokenRefusal>> {
        let (name, detail): (String, String) = self.redis.run(&self.about(&RETURN_HOLD_TRY, token, now)).await?;
        if name == "returned" { Ok(()) } else { Err(token_refusal(&name, &detail)) }
    }

    async fn freeze(
        &self,
        performance: PerformanceId,
        joined: &[u64],
    ) -> Result<Option<Vec<FrozenLane>>, PortError<QueueLost>> {
        let mut freeze = self.call(&FREEZE, performance);
        freeze.arg(joined);
        let reply: Option<Vec<FrozenReply>> = self.redis.run(&freeze).await?;
        let lanes = reply.ok_or(PortError::Refused(QueueLost))?;
        let counts = joined.iter().copied().chain(std::iter::repeat(0));
        let frozen = |((gone, unseen, needs_accessible), count): (FrozenReply, u64)| {
            let (unseen, needs_accessible) = (numbers(&unseen, count), numbers(&needs_accessible, count));
            let mut gone = numbers(&gone, count);
            gone.retain(|index| [&unseen, &needs_accessible].iter().all(|others| others.binary_search(index).is_err()));
            FrozenLane { count, gone, unseen, needs_accessible }
        };
        Ok((!lanes.is_empty()).then(|| lanes.into_iter().zip(counts).map(frozen).collect()))
    }

    async fn cut(
        &self,
        performance: PerformanceId,
        lanes: &[CutLane],
        presence: Presence,
    ) -> Result<bool, PortError<QueueLost>> {
        let mut cut = self.call(&CUT, performance);
        cut.arg(presence.period()).arg(seen_ttl_ms(presence));
        for lane in lanes {
            let unseen = bitmap(lane.unseen.iter().copied(), lane.count);
            let CutLane { gone, unseen: unseen_numbers, needs_accessible, .. } = lane;
            let gone = bitmap(gone.iter().chain(unseen_numbers).chain(needs_accessible).copied(), lane.count);
            let left = reasons(lane.gone.iter().map(|number| (*number, EndReason::Left)));
            cut.arg(lane.count).arg(gone).arg(unseen);
            match needs_accessible.as_slice() {
                [] => cut.arg(""),
                numbers => cut.arg(bitmap(numbers.iter().copied(), lane.count)),
            };
            cut.arg(left);
        }
        Ok(unless_lost(self.redis.run(&cut).await?)? == 1)
    }

    async fn report_present(
        &self,
        performance: PerformanceId,
        numbers: &[LaneNumber],
        drawn: bool,
        presence: Presence,
    ) -> Result<(), PortError<QueueLost>> {
        let mut report = self.call(&REPORT_PRESENT, performance);
        report.arg(u8::from(drawn)).arg(presence.period()).arg(seen_ttl_ms(presence));
        let mut by_lane: BTreeMap<u8, Vec<u64>> = BTreeMap::new();
        for LaneNumber { lane, number } in numbers {
            by_lane.entry(*lane).or_default().push(*number);
        }
        for (lane, numbers) in &by_lane {
            if let Some(packed) = pack(&numbers.iter().copied()) {
                report.arg(*lane).arg(packed.first_byte).arg(packed.bytes);
            }
        }
        unless_lost(self.redis.run::<i64>(&report).await? - 1).map(drop)
    }

    async fn abandon_absent(
        &self,
        performance: PerformanceId,
        presence: Presence,
    ) -> Result<Absent, PortError<QueueLost>> {
        let (first, last) = periods_within_grace(presence);
        let mut abandon = self.call(&ABANDON_ABSENT, performance);
        abandon.arg(presence.now.timestamp_millis()).arg(millis(presence.grace)).arg(first).arg(last);
        let reply: Option<(i64, Vec<AbandonedReply>)> = self.redis.run(&abandon).await?;
        let (epoch, lanes) = reply.ok_or(PortError::Refused(QueueLost))?;
        let of_lane = |(lane, (bitmaps, late)): (u8, AbandonedReply)| {
            let by_bitmap = bitmaps.into_iter().flat_map(|bytes| numbers(&bytes, u64::MAX));
            by_bitmap.chain(late).map(move |number| LaneNumber { lane, number })
        };
        Ok(Absent { epoch, numbers: (0..).zip(lanes).flat_map(of_lane).collect() })
    }
}

/// The reply of `abandon_absent.lua` about one lane: bitmaps of numbers that were ended, and numbers that were ended.
type AbandonedReply = (Vec<Vec<u8>>, Vec<u64>);

/// Adds the arguments of a lane to a run of `open.lua`.
fn add_lane(open: &mut ScriptInvocation<'_>, lane: &RestoredLane, inside: &HashSet<u64>) {
    let RestoredLane { head, unseen_after, tail, drawn, ended } = lane;
    open.arg(*head).arg(*unseen_after).arg(*tail).arg(drawn.map_or(String::new(), |drawn| drawn.to_string()));
    if unseen_after == tail && ended.is_empty() {
        open.arg("").arg("").arg("");
        return;
    }
    let gone = bitmap(head + 1..=*tail, *tail);
    let is_known = |number: &u64| lane.is_ended(*number) || inside.contains(number);
    let unseen = bitmap((unseen_after + 1..=*tail).filter(|number| !is_known(number)), *tail);
    open.arg(gone).arg(unseen).arg(reasons(ended.iter().copied()));
}

/// The deadline in milliseconds, or an empty string.
fn admitted_until(payload: &QueueTokenPayload) -> String {
    payload.admitted_until.map_or(String::new(), |until| until.timestamp_millis().to_string())
}

/// The counter of the queue's flow that an end increments, if any.
fn counts_as(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Used => "used",
        EndReason::Left | EndReason::Replaced | EndReason::LimitReached => "left",
        EndReason::Expired => "expired",
        EndReason::Abandoned => "abandoned",
        EndReason::Reset => "",
    }
}

/// Decodes the reply of a script that is negative if the queue is lost.
fn unless_lost(reply: i64) -> Result<u64, PortError<QueueLost>> {
    u64::try_from(reply).map_err(|_| PortError::Refused(QueueLost))
}
