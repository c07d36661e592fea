use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::line_snapshot::{GoneMap, LineSnapshot};
use encore_domain::ports::{Lines, Presence};
use encore_domain::queue::{EndReason, LineSettings, QueueTicket, TokenState};
use encore_domain::time::Timestamp;
use redis::{Script, ScriptInvocation};

use crate::connection::Redis;
use crate::presence::{pack, seen_ttl_ms};
use crate::reply::{millis, reason_code, timestamp, token_state};

/// How many numbers one run of the admission script calls, so that none holds others up for more than a few
/// milliseconds; more are called by several runs.
const CALLED_PER_RUN: u64 = 1_000;

static ADMIT: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("lua/lines/token.lua"), include_str!("lua/lines/admit.lua"))));
static CLAIM: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("lua/lines/token.lua"), include_str!("lua/lines/claim.lua"))));
static END: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("lua/lines/token.lua"), include_str!("lua/lines/end.lua"))));
static JOIN: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("lua/lines/token.lua"), include_str!("lua/lines/join.lua"))));
static STATE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("lua/lines/token.lua"), include_str!("lua/lines/state.lua"))));
static SNAPSHOT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/lines/snapshot.lua")));
static REPORT_PRESENT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/lines/report_present.lua")));
static ABANDON_ABSENT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/lines/abandon_absent.lua")));

/// [`Lines`] as numbers and bitmaps, so that no fan costs more than some bits and one entry of who has which number.
///
/// A ticket is taken at its word about whose it is: queue tokens are signed, and only the line's own tickets are.
#[derive(Clone)]
pub struct RedisLines {
    redis: Redis,
}

/// Epoch, head, tail, gone, called, active.
type SnapshotReply = (i64, u64, u64, Vec<u8>, Vec<(u64, i64)>, Vec<(u64, i64)>);

impl RedisLines {
    /// Keeps lines in this Redis.
    pub fn new(redis: Redis) -> Self {
        Self { redis }
    }

    /// A script about a ticket, with the arguments that all of these begin with.
    fn about<'script>(
        &self,
        script: &'script Script,
        ticket: &QueueTicket,
        now: Timestamp,
    ) -> ScriptInvocation<'script> {
        let mut script = script.prepare_invoke();
        script.key(&self.redis.keys.line(ticket.performance));
        script.arg(ticket.epoch).arg(ticket.number).arg(now.timestamp_millis());
        script
    }
}

#[async_trait]
impl Lines for RedisLines {
    async fn join(
        &self,
        performance: PerformanceId,
        user: UserId,
        presence: Presence,
        new_epoch: i64,
    ) -> Result<QueueTicket, Unavailable> {
        let keys = &self.redis.keys;
        let mut join = JOIN.prepare_invoke();
        join.key(&keys.line(performance)).key(keys.line_seen(performance, presence.period()));
        join.arg(user.0.as_bytes().as_slice()).arg(presence.now.timestamp_millis());
        join.arg(new_epoch).arg(seen_ttl_ms(presence));
        let (epoch, number) = self.redis.run(&join).await?;
        Ok(QueueTicket { performance, user, epoch, number })
    }

    async fn snapshot(&self, performance: PerformanceId) -> Result<Option<LineSnapshot>, Unavailable> {
        let [line, gone, _, _, called, active] = self.redis.keys.line(performance);
        let mut snapshot = SNAPSHOT.prepare_invoke();
        snapshot.key(line).key(gone).key(called).key(active);
        let reply: Option<SnapshotReply> = self.redis.run(&snapshot).await?;
        Ok(reply.map(line_snapshot))
    }

    async fn admit(
        &self,
        performance: PerformanceId,
        settings: &LineSettings,
        now: Timestamp,
    ) -> Result<u64, Unavailable> {
        let mut admit = ADMIT.prepare_invoke();
        admit.key(&self.redis.keys.line(performance)).arg(now.timestamp_millis());
        admit.arg(settings.rate.admissions).arg(millis(settings.rate.period).max(1));
        admit.arg(settings.batch).arg(settings.cap).arg(u8::from(settings.paused));
        admit.arg(millis(settings.claim_window)).arg(CALLED_PER_RUN);
        let mut called = 0;
        loop {
            let called_by_run: u64 = self.redis.run(&admit).await?;
            called += called_by_run;
            if called_by_run < CALLED_PER_RUN {
                return Ok(called);
            }
        }
    }

    async fn state(&self, ticket: &QueueTicket, now: Timestamp) -> Result<TokenState, Unavailable> {
        token_state(self.redis.run(&self.about(&STATE, ticket, now)).await?)
    }

    async fn claim(
        &self,
        ticket: &QueueTicket,
        active_for: Duration,
        now: Timestamp,
    ) -> Result<TokenState, Unavailable> {
        let mut claim = self.about(&CLAIM, ticket, now);
        claim.arg(millis(active_for));
        token_state(self.redis.run(&claim).await?)
    }

    async fn end(&self, ticket: &QueueTicket, reason: EndReason, now: Timestamp) -> Result<TokenState, Unavailable> {
        let mut end = self.about(&END, ticket, now);
        end.arg(ticket.user.0.as_bytes().as_slice()).arg(reason_code(reason));
        token_state(self.redis.run(&end).await?)
    }

    async fn report_present(
        &self,
        performance: PerformanceId,
        numbers: &[u64],
        presence: Presence,
    ) -> Result<(), Unavailable> {
        let Some(packed) = pack(numbers) else { return Ok(()) };
        let keys = &self.redis.keys;
        let mut report = REPORT_PRESENT.prepare_invoke();
        report.key(keys.line_itself(performance));
        report.key(keys.line_seen(performance, presence.period())).key(keys.line_scratch(performance));
        report.arg(packed.first_byte).arg(packed.bytes).arg(seen_ttl_ms(presence));
        self.redis.run(&report).await
    }

    async fn abandon_absent(&self, performance: PerformanceId, presence: Presence) -> Result<u64, Unavailable> {
        let keys = &self.redis.keys;
        let mut abandon = ABANDON_ABSENT.prepare_invoke();
        abandon.key(keys.line_itself(performance)).key(keys.line_gone(performance));
        abandon.key(keys.line_scratch(performance)).key(keys.line_seen_within_grace(performance, presence));
        self.redis.run(&abandon).await
    }
}

fn line_snapshot((epoch, head, tail, gone, called, active): SnapshotReply) -> LineSnapshot {
    let deadlines = |inside: Vec<(u64, i64)>| inside.into_iter().map(|(number, ms)| (number, timestamp(ms))).collect();
    LineSnapshot {
        epoch,
        head,
        tail,
        gone: GoneMap::from_bytes(head / 8 * 8, &gone),
        called: deadlines(called),
        active: deadlines(active),
    }
}
