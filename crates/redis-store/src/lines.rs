use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ids::PerformanceId;
use encore_domain::line_snapshot::LineSnapshot;
use encore_domain::ports::{CutLane, FrozenLane, JoinRefusal, Joining, LineLost, Lines, Presence, TicketRefusal};
use encore_domain::queue::{
    AdmissionTerms, EndReason, LANES_MAX, LaneNumber, Place, QueueTicket, RestoredLane, RestoredLine, TokenState,
};
use encore_domain::seat_state::SeatStock;
use encore_domain::time::Timestamp;
use redis::{Script, ScriptInvocation};

use crate::connection::Redis;
use crate::line_bits::{bitmap, numbers, reasons};
use crate::line_snapshots::{SnapshotReply, line_snapshot};
use crate::presence::{pack, periods_within_grace, seen_ttl_ms};
use crate::reply::{millis, reason_code, ticket_refusal, token_state, unexpected};

/// How many numbers one run of the admission script calls, so that none holds others up for more than a few
/// milliseconds; more are called by several runs.
const CALLED_PER_RUN: i64 = 1_000;

macro_rules! script {
    ($($name:ident = $($file:literal)+;)+) => {$(
        static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("lua/lines/line.lua"), $(include_str!(concat!("lua/lines/", $file))),+))
        });
    )+};
}

script! {
    ABANDON_ABSENT = "abandon_absent.lua";
    ADMIT = "admit.lua";
    CLAIM = "place.lua" "claim.lua";
    CUT = "cut.lua";
    END = "place.lua" "end.lua";
    EXTEND = "extend.lua";
    FREEZE = "freeze.lua";
    JOIN = "join.lua";
    OPEN = "open.lua";
    REPORT_PRESENT = "report_present.lua";
    SHOW = "show.lua";
    SNAPSHOT = "snapshot.lua";
    SPEND_HOLD_TRY = "place.lua" "spend_hold_try.lua";
    STATE = "place.lua" "state.lua";
}

/// [`Lines`] as numbers and bitmaps, so that no fan costs more than some bits and one entry of who has which place.
///
/// A ticket is taken at its word about whose it is: queue tokens are signed, and only the line's own tickets are.
#[derive(Clone)]
pub struct RedisLines {
    redis: Redis,
}

impl RedisLines {
    /// Keeps lines in this Redis.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// A script about a line.
    fn call<'script>(&self, script: &'script Script, performance: PerformanceId) -> ScriptInvocation<'script> {
        let mut script = script.prepare_invoke();
        script.key(self.redis.keys.line(performance));
        script
    }

    /// A script about a place, with the arguments that all of these begin with.
    fn about<'script>(&self, script: &'script Script, place: &Place, now: Timestamp) -> ScriptInvocation<'script> {
        let ticket = &place.ticket;
        let mut script = self.call(script, ticket.performance);
        script.arg(ticket.epoch).arg(ticket.lane).arg(ticket.index).arg(place.number).arg(place.drawn);
        script.arg(now.timestamp_millis()).arg(ticket.user.0.as_bytes().as_slice()).arg(admitted_until(ticket));
        script
    }
}

#[async_trait]
impl Lines for RedisLines {
    async fn open(&self, performance: PerformanceId, line: &RestoredLine) -> Result<bool, Unavailable> {
        let mut open = self.call(&OPEN, performance);
        let was_lost = line.lanes.iter().any(|lane| lane.tail > 0);
        open.arg(line.epoch).arg(u8::from(line.draws)).arg(line.restored_at.timestamp_millis());
        open.arg(line.quiet_until.timestamp_millis()).arg(line.reserved).arg(line.reserved_until.timestamp_millis());
        open.arg(u8::from(was_lost)).arg(LANES_MAX).arg(line.lanes.len());
        for (index, lane) in (0..).zip(&line.lanes) {
            let inside = line.inside.iter().map(|inside| inside.place).filter(|place| place.lane == index);
            add_lane(&mut open, lane, &inside.map(|place| place.number).collect());
        }
        for inside in &line.inside {
            open.arg(format!("{}:{}", inside.place.lane, inside.place.number));
            open.arg(inside.until.timestamp_millis()).arg(u8::from(inside.active));
        }
        self.redis.run(&open).await
    }

    async fn extend(
        &self,
        performance: PerformanceId,
        epoch: i64,
        lane: u8,
        limit: u64,
    ) -> Result<(), PortError<LineLost>> {
        let mut extend = self.call(&EXTEND, performance);
        extend.arg(epoch).arg(lane).arg(limit);
        unless_lost(self.redis.run::<i64>(&extend).await? - 1).map(drop)
    }

    async fn join(&self, joining: Joining) -> Result<QueueTicket, PortError<JoinRefusal>> {
        let Joining { performance, user, lane, may_enter, place, presence } = joining;
        let mut join = self.call(&JOIN, performance);
        join.arg(user.0.as_bytes().as_slice()).arg(lane).arg(u8::from(may_enter));
        join.arg(presence.now.timestamp_millis()).arg(presence.period()).arg(seen_ttl_ms(presence));
        match place {
            Some(place) => {
                join.arg(place.ticket.lane).arg(place.ticket.index).arg(place.number).arg(place.drawn);
            }
            None => {
                join.arg("").arg("").arg("").arg("");
            }
        }
        let reply: Vec<String> = self.redis.run(&join).await?;
        let ticket = |epoch: &str, lane: &str, index: &str| {
            let ticket = (|| {
                let (epoch, lane, index) = (epoch.parse().ok()?, lane.parse().ok()?, index.parse().ok()?);
                Some(QueueTicket { performance, user, epoch, lane, index, admitted_until: None })
            })();
            ticket.ok_or_else(|| unexpected(format!("a place is {epoch:?} {lane:?} {index:?}")))
        };
        match reply.iter().map(String::as_str).collect::<Vec<&str>>().as_slice() {
            ["joined", epoch, lane, index] => Ok(ticket(epoch, lane, index)?),
            ["lost"] => Err(PortError::Refused(JoinRefusal::Lost)),
            ["none"] => Err(PortError::Refused(JoinRefusal::NoPlace)),
            ["spent"] => Err(PortError::Refused(JoinRefusal::NumbersSpent)),
            ["number", epoch, lane, index, drawn] => {
                let (ticket, drawn) = (ticket(epoch, lane, index)?, drawn.parse().unwrap_or(0));
                Err(PortError::Refused(JoinRefusal::NumberNeeded { ticket, drawn }))
            }
            _ => Err(unexpected(format!("joining answered {reply:?}")).into()),
        }
    }

    async fn show(
        &self,
        performance: PerformanceId,
        places: &[Place],
        presence: Presence,
    ) -> Result<(), PortError<TicketRefusal>> {
        let mut show = self.call(&SHOW, performance);
        show.arg(presence.now.timestamp_millis()).arg(presence.period()).arg(seen_ttl_ms(presence));
        for Place { ticket, number, drawn } in places {
            show.arg(ticket.epoch).arg(ticket.user.0.as_bytes().as_slice()).arg(ticket.lane).arg(ticket.index);
            show.arg(*number).arg(*drawn).arg(admitted_until(ticket));
        }
        let (name, detail): (String, String) = self.redis.run(&show).await?;
        if name == "ok" { Ok(()) } else { Err(ticket_refusal(&name, &detail)) }
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<LineSnapshot>, Unavailable> {
        let reply: Option<SnapshotReply> = self.redis.run(&self.call(&SNAPSHOT, performance)).await?;
        reply.map(line_snapshot).transpose()
    }

    async fn admit(
        &self,
        performance: PerformanceId,
        terms: &AdmissionTerms,
        now: Timestamp,
    ) -> Result<u64, PortError<LineLost>> {
        let mut admit = self.call(&ADMIT, performance);
        admit.arg(now.timestamp_millis());
        admit.arg(terms.rate.admissions).arg(millis(terms.rate.period).max(1));
        admit.arg(terms.batch).arg(terms.cap).arg(u8::from(terms.calling));
        admit.arg(millis(terms.claim_window)).arg(CALLED_PER_RUN);
        let seats = |count: fn(SeatStock) -> u32| terms.stock.map_or(String::new(), |stock| count(stock).to_string());
        admit.arg(seats(|stock| stock.free)).arg(seats(|stock| stock.held));
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

    async fn state(&self, place: &Place, now: Timestamp) -> Result<TokenState, PortError<TicketRefusal>> {
        token_state(self.redis.run(&self.about(&STATE, place, now)).await?)
    }

    async fn claim(
        &self,
        place: &Place,
        active_for: Duration,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TicketRefusal>> {
        let mut claim = self.about(&CLAIM, place, now);
        claim.arg(millis(active_for));
        token_state(self.redis.run(&claim).await?)
    }

    async fn end(
        &self,
        place: &Place,
        reason: EndReason,
        now: Timestamp,
    ) -> Result<TokenState, PortError<TicketRefusal>> {
        let mut end = self.about(&END, place, now);
        end.arg(reason_code(reason)).arg(counts_as(reason));
        token_state(self.redis.run(&end).await?)
    }

    async fn spend_hold_try(
        &self,
        place: &Place,
        tries: u32,
        now: Timestamp,
    ) -> Result<bool, PortError<TicketRefusal>> {
        let mut spend = self.about(&SPEND_HOLD_TRY, place, now);
        spend.arg(tries);
        let (name, detail): (String, String) = self.redis.run(&spend).await?;
        if name == "spent" { Ok(detail == "1") } else { Err(ticket_refusal(&name, &detail)) }
    }

    async fn freeze(&self, performance: PerformanceId) -> Result<Option<Vec<FrozenLane>>, PortError<LineLost>> {
        let reply: Option<Vec<(u64, Vec<u8>, Vec<u8>)>> = self.redis.run(&self.call(&FREEZE, performance)).await?;
        let lanes = reply.ok_or(PortError::Refused(LineLost))?;
        let frozen = |(count, gone, unseen): (u64, Vec<u8>, Vec<u8>)| {
            let unseen = numbers(&unseen, count);
            let mut gone = numbers(&gone, count);
            gone.retain(|index| unseen.binary_search(index).is_err());
            FrozenLane { count, gone, unseen }
        };
        Ok((!lanes.is_empty()).then(|| lanes.into_iter().map(frozen).collect()))
    }

    async fn cut(
        &self,
        performance: PerformanceId,
        lanes: &[CutLane],
        presence: Presence,
    ) -> Result<bool, PortError<LineLost>> {
        let mut cut = self.call(&CUT, performance);
        cut.arg(presence.period()).arg(seen_ttl_ms(presence));
        for lane in lanes {
            let unseen = bitmap(lane.unseen.iter().copied(), lane.count);
            let gone = bitmap(lane.gone.iter().chain(&lane.unseen).copied(), lane.count);
            let left = reasons(lane.gone.iter().copied(), b'l');
            cut.arg(lane.count).arg(gone).arg(unseen).arg(left);
        }
        Ok(unless_lost(self.redis.run(&cut).await?)? == 1)
    }

    async fn report_present(
        &self,
        performance: PerformanceId,
        numbers: &[LaneNumber],
        drawn: bool,
        presence: Presence,
    ) -> Result<(), PortError<LineLost>> {
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

    async fn abandon_absent(&self, performance: PerformanceId, presence: Presence) -> Result<u64, PortError<LineLost>> {
        let (first, last) = periods_within_grace(presence);
        let mut abandon = self.call(&ABANDON_ABSENT, performance);
        abandon.arg(presence.now.timestamp_millis()).arg(millis(presence.grace)).arg(first).arg(last);
        unless_lost(self.redis.run(&abandon).await?)
    }
}

/// The arguments of a lane that is put in place.
fn add_lane(open: &mut ScriptInvocation<'_>, lane: &RestoredLane, inside: &HashSet<u64>) {
    let RestoredLane { head, unseen_after, tail, drawn, used } = lane;
    open.arg(*head).arg(*unseen_after).arg(*tail).arg(drawn.map_or(String::new(), |drawn| drawn.to_string()));
    if unseen_after == tail && used.is_empty() {
        open.arg("").arg("").arg("");
        return;
    }
    let gone = bitmap(head + 1..=*tail, *tail);
    let is_known = |number: &u64| used.binary_search(number).is_ok() || inside.contains(number);
    let unseen = bitmap((unseen_after + 1..=*tail).filter(|number| !is_known(number)), *tail);
    open.arg(gone).arg(unseen).arg(reasons(used.iter().copied(), b'u'));
}

/// In milliseconds, or nothing.
fn admitted_until(ticket: &QueueTicket) -> String {
    ticket.admitted_until.map_or(String::new(), |until| until.timestamp_millis().to_string())
}

/// What an end counts as in the flow of the line.
fn counts_as(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Used => "used",
        EndReason::Left | EndReason::Replaced => "left",
        EndReason::Expired => "expired",
        EndReason::Abandoned => "abandoned",
        EndReason::Reset => "",
    }
}

/// A count, or a negative number of a line that is lost.
fn unless_lost(reply: i64) -> Result<u64, PortError<LineLost>> {
    u64::try_from(reply).map_err(|_| PortError::Refused(LineLost))
}
