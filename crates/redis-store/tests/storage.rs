//! What the contracts of the ports do not cover: how the adapters use Redis, and agreement with a model over long runs.
#![expect(clippy::expect_used, reason = "tests")]

#[expect(dead_code, reason = "other test files use the rest")]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use encore_domain::booking::seat_state::{SeatLock, SeatStatus, SeatStock, StockAt};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::PortError;
use encore_domain::ids::{PerformanceId, RequestId, ReservationId, UserId};
use encore_domain::ports::{Joining, Presence, QueueStore, REQUESTS_KEPT, RateLimits, SeatLocks};
use encore_domain::queue::snapshot::{NumberStatus, QueueSnapshot};
use encore_domain::queue::{
    EndReason, LaneNumber, QueueRate, QueueRecord, QueueSettings, QueueTokenPayload, TokenBucket, TokenState,
};
use encore_domain::rate_limit::{LimitKey, RateLimit, RateLimited};
use encore_domain::request::{DIGEST_LEN, Fingerprint, RequestKey};
use encore_redis_store::{Redis, RedisQueueStore, RedisRateLimits, RedisSeatLocks};
use support::{at, bare_connection, fresh_prefix, fresh_redis, server_url};
use uuid::Uuid;

const PERFORMANCE: PerformanceId = PerformanceId(Uuid::from_u128(7));
const GRACE: Duration = Duration::from_mins(2);
const EPOCH: i64 = 41;

fn user(n: u64) -> UserId {
    UserId(Uuid::from_u128(u128::from(n)))
}

fn owner(n: u32) -> ReservationId {
    ReservationId(Uuid::from_u128(u128::from(n)))
}

fn seen_at(ms: i64) -> Presence {
    Presence { now: at(ms), grace: GRACE }
}

fn open_settings() -> QueueSettings {
    let rate = QueueRate { admissions: 100_000, period: Duration::from_millis(100) };
    QueueSettings { rate, batch: 100_000, max_active: 100_000, ..QueueSettings::default() }
}

/// An open queue, with as many numbers as a test may need.
struct Queue(RedisQueueStore);

impl Queue {
    async fn on(redis: Redis) -> Self {
        let queues = RedisQueueStore::new(redis);
        let new = QueueRecord::new(EPOCH, 1, at(0)).restored(None, &[], &[], &QueueSettings::default(), at(0));
        assert!(queues.open(PERFORMANCE, &new).await.expect("redis replies"));
        queues.extend(PERFORMANCE, EPOCH, 0, 1_000_000).await.expect("the queue is open");
        Self(queues)
    }

    async fn join(&self, user: UserId, ms: i64) -> QueueTokenPayload {
        self.join_as(user, ms, None).await
    }

    async fn join_as(&self, user: UserId, ms: i64, request: Option<RequestKey>) -> QueueTokenPayload {
        let presence = seen_at(ms);
        let joining = Joining {
            performance: PERFORMANCE,
            user,
            lane: 0,
            needs_accessible: false,
            may_enter: true,
            token: None,
            presence,
            request,
            entry: None,
        };
        self.0.join(joining).await.expect("a token").payload
    }

    async fn join_all(&self, count: u64) -> Vec<QueueTokenPayload> {
        let mut payloads = Vec::new();
        for n in 1..=count {
            payloads.push(self.join(user(n), 0).await);
        }
        payloads
    }

    async fn admit(&self, settings: &QueueSettings, ms: i64) -> u64 {
        let terms = settings.terms(None, at(0), at(ms.max(0)));
        self.0.admit(PERFORMANCE, &terms, at(ms)).await.expect("the queue is open")
    }

    async fn leave(&self, payload: &QueueTokenPayload, ms: i64) {
        self.0.end(&payload.token(None), EndReason::Left, at(ms)).await.expect("the queue knows the token");
    }

    async fn state(&self, payload: &QueueTokenPayload, ms: i64) -> TokenState {
        self.0.state(&payload.token(None), at(ms)).await.expect("the queue knows the token")
    }

    async fn snapshot(&self) -> QueueSnapshot {
        self.0.snapshot(PERFORMANCE).await.expect("redis replies").expect("the queue is open")
    }

    async fn report(&self, numbers: &[u64], ms: i64) {
        let numbers: Vec<LaneNumber> = numbers.iter().map(|number| LaneNumber { lane: 0, number: *number }).collect();
        self.0.report_present(PERFORMANCE, &numbers, false, seen_at(ms)).await.expect("the queue is open");
    }

    async fn abandon_absent(&self, ms: i64) -> u64 {
        self.0.abandon_absent(PERFORMANCE, seen_at(ms)).await.expect("the queue is open").numbers.len() as u64
    }
}

/// A pseudorandom sequence, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[tokio::test]
async fn a_long_queue_agrees_with_a_model() {
    let queues = Queue::on(fresh_redis().await).await;
    let mut random = Random(11);
    let mut payloads = queues.join_all(300).await;
    let mut waiting: BTreeMap<u64, QueueTokenPayload> =
        payloads.iter().map(|payload| (payload.index, *payload)).collect();
    for round in 0..60_i64 {
        let now_ms = round * 10;
        // Whole runs of numbers leave, so that the search for the next number crosses bytes and words of gone numbers only.
        let first = 1 + random.below(payloads.len() as u64);
        for number in first..first + random.below(40) {
            if let Some(payload) = waiting.remove(&number) {
                queues.leave(&payload, now_ms).await;
            }
        }
        for _ in 0..random.below(6) {
            let newcomer = user(1_000 + payloads.len() as u64);
            let payload = queues.join(newcomer, now_ms).await;
            assert_eq!(payload.index, payloads.len() as u64 + 1);
            waiting.insert(payload.index, payload);
            payloads.push(payload);
        }
        let max_active = u32::try_from(random.below(9)).expect("small");
        let settings = QueueSettings { max_active, accept_window: Duration::from_millis(1), ..open_settings() };
        let called = queues.admit(&settings, now_ms).await;
        assert_eq!(called, u64::from(max_active).min(waiting.len() as u64));
        for _ in 0..called {
            let (_, payload) = waiting.pop_first().expect("no more are called than wait");
            let state = queues.state(&payload, now_ms).await;
            assert_eq!(state, TokenState::Called { accept_by: at(now_ms + 1) });
        }
        let snapshot = queues.snapshot().await;
        assert_eq!(snapshot.waiting(), waiting.len() as u64);
        for (position, number) in (1..).zip(waiting.keys()) {
            assert_eq!(snapshot.status(LaneNumber { lane: 0, number: *number }), NumberStatus::waiting_at(position));
        }
    }
    assert!(payloads.len() > 400 && waiting.len() < 200, "the run called most of the queue");
}

#[tokio::test]
async fn admissions_agree_with_the_token_bucket() {
    let queues = Queue::on(fresh_redis().await).await;
    let mut random = Random(5);
    let mut left = queues.join_all(1_500).await.len() as u64;
    let mut bucket: Option<TokenBucket> = None;
    let mut now_ms = 0;
    for _ in 0..300 {
        // The clock goes back now and then, and operators change the rate.
        now_ms += i64::try_from(random.below(400)).expect("small") - 80;
        let rate = QueueRate { admissions: 7, period: Duration::from_millis(700 + 300 * random.below(3)) };
        let settings =
            QueueSettings { rate, batch: 3 + u32::try_from(random.below(3)).expect("small"), ..open_settings() };
        let terms = settings.terms(None, at(now_ms), at(now_ms));
        let bucket = bucket.get_or_insert_with(|| TokenBucket::new(&terms, at(now_ms)));
        bucket.refill(&terms, at(now_ms));
        let expected = bucket.available(&terms).min(left);
        bucket.spend(&terms, expected);
        left -= expected;
        assert_eq!(queues.admit(&settings, now_ms).await, expected);
    }
    assert!(left > 0 && left < 1_300, "the bucket was the limit");
}

#[tokio::test]
async fn a_sweep_stops_at_the_tail_at_any_position_in_a_byte() {
    for tail in 1..=18 {
        let queues = Queue::on(fresh_redis().await).await;
        queues.join_all(tail).await;
        let later = 10 * 60_000;
        assert_eq!(queues.abandon_absent(later).await, tail);
        let next = queues.join(user(100), later).await;
        assert_eq!(queues.state(&next, later).await, TokenState::Waiting);
        assert_eq!(queues.abandon_absent(later).await, 0);
    }
}

#[tokio::test]
async fn a_batch_larger_than_one_run_is_called_at_once() {
    let queues = Queue::on(fresh_redis().await).await;
    let mut payloads = queues.join_all(2_500).await;
    assert_eq!(queues.admit(&open_settings(), 0).await, 2_500);
    let last = payloads.pop().expect("2,500 joined");
    let accept_by = at(0) + open_settings().accept_window;
    assert_eq!(queues.state(&last, 0).await, TokenState::Called { accept_by });
    // More deadlines have passed than one run records. They do not count against max_active.
    let later = 60_000;
    queues.join(user(9_999), later).await;
    let settings = QueueSettings { max_active: 1, ..open_settings() };
    assert_eq!(queues.admit(&settings, later).await, 1);
}

#[tokio::test]
async fn numbers_issued_after_a_sweep_wait() {
    let queues = Queue::on(fresh_redis().await).await;
    queues.join_all(10).await;
    let later = 10 * 60_000;
    queues.report(&[4], later).await;
    assert_eq!(queues.abandon_absent(later).await, 9);
    for (n, number) in (100..).zip(11..=24) {
        let payload = queues.join(user(n), later).await;
        assert_eq!(payload.index, number);
        assert_eq!(queues.state(&payload, later).await, TokenState::Waiting);
    }
    let snapshot = queues.snapshot().await;
    assert_eq!(snapshot.waiting(), 15);
}

#[tokio::test]
async fn numbers_past_the_tail_are_not_reported() {
    let queues = Queue::on(fresh_redis().await).await;
    queues.report(&[1, 2], 0).await;
    queues.join_all(3).await;
    let later = 10 * 60_000;
    queues.report(&[2, 5_000, u64::MAX], later).await;
    assert_eq!(queues.abandon_absent(later).await, 2);
}

#[tokio::test]
async fn concurrent_loads_of_thousands_of_holds_load_the_seats_once() {
    let redis = fresh_redis().await;
    let seat_locks = RedisSeatLocks::new(redis.clone());
    let held = |n| SeatLock::held(Slot(n), owner(n), user(u64::from(n)), at(i64::from(n)));
    let locks: Vec<SeatLock> = (0..2_500).map(held).collect();
    let loads = [(); 4].map(|()| {
        let (seat_locks, locks) = (seat_locks.clone(), locks.clone());
        tokio::spawn(async move { seat_locks.load(PERFORMANCE, &[Some(SeatStatus::Free); 3_000], &locks, 1).await })
    });
    for load in loads {
        load.await.expect("no panic").expect("redis replies");
    }
    let state = seat_locks.snapshot(PERFORMANCE).await.expect("redis answers").expect("loaded");
    assert_eq!(state.statuses, [[Some(SeatStatus::Held); 2_500].as_slice(), &[Some(SeatStatus::Free); 500]].concat());
    let stock = StockAt { version: 1, stock: SeatStock { free: 500, held: 2_500 } };
    assert_eq!(seat_locks.stock(&[PERFORMANCE]).await.expect("redis replies"), [Some(stock)]);
    let overdue = seat_locks.overdue(PERFORMANCE, at(1_200), u32::MAX).await.expect("redis replies");
    assert_eq!(overdue, locks[..1_000]);
}

#[tokio::test]
async fn scripts_survive_a_script_flush() {
    let queues = Queue::on(fresh_redis().await).await;
    let first = queues.join(user(1), 0).await;
    // This flushes the scripts of concurrent tests as well.
    let mut connection = bare_connection().await;
    let _: () = redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.expect("flushed");
    let second = queues.join(user(2), 0).await;
    assert_eq!((first.index, second.index), (1, 2));
}

#[tokio::test]
async fn keys_have_the_prefix_and_the_hash_tag_and_no_temporary_key_is_left() {
    let prefix = fresh_prefix().await;
    let redis = Redis::connect(&server_url(), &prefix).await.expect("the server replies");
    let queues = Queue::on(redis.clone()).await;
    let payloads = queues.join_all(3).await;
    queues.report(&[1, 2], 0).await;
    queues.leave(&payloads[2], 0).await;
    queues.admit(&QueueSettings { max_active: 2, ..open_settings() }, 0).await;
    let token = payloads[0].token(None);
    queues.0.accept(&token, Duration::from_mins(10), at(0)).await.expect("the queue knows the token");
    queues.0.spend_hold_try(&token, 2, at(0)).await.expect("the queue knows the token");
    queues.abandon_absent(0).await;
    let seat_locks = RedisSeatLocks::new(redis.clone());
    let held = SeatLock::held(Slot(0), owner(1), user(1), at(0));
    seat_locks.load(PERFORMANCE, &[Some(SeatStatus::Free); 3], &[held], 1).await.expect("redis answers");
    let request = RequestKey {
        user: user(1),
        id: RequestId(Uuid::from_u128(2)),
        fingerprint: Fingerprint::new([3; DIGEST_LEN], [3; DIGEST_LEN]),
    };
    queues.0.note_leave(&token, Some(request), at(0)).await.expect("the queue knows the token");

    let permanent = |name: &str| (format!("{prefix}{{{PERFORMANCE}}}:{name}"), false);
    let expiring = |name: String| (format!("{prefix}{name}"), true);
    let period = seen_at(0).period();
    let queue_names = ["", ":active", ":called", ":gone:0", ":members", ":pace", ":reasons:0", ":requests", ":tries"];
    let queue_names = queue_names.map(|name| format!("queue{name}"));
    let names = queue_names.iter().map(String::as_str);
    let seat_names = ["seats", "seats:about", "seats:deadlines", "seats:fans", "seats:loads", "seats:owners"];
    let mut expected: BTreeMap<String, bool> = names.chain(seat_names).map(permanent).collect();
    expected.extend([expiring(format!("{{{PERFORMANCE}}}:queue:seen:0:{period}"))]);
    assert_eq!(keys_and_whether_they_expire(&prefix).await, expected);
}

#[tokio::test]
async fn the_requests_of_a_fan_take_a_bounded_number_of_bytes() {
    let prefix = fresh_prefix().await;
    let queues = Queue::on(Redis::connect(&server_url(), &prefix).await.expect("the server replies")).await;
    let mut connection = bare_connection().await;
    let key = format!("{prefix}{{{PERFORMANCE}}}:queue:requests");
    let mut kept_bytes = async || -> usize {
        let mut length = redis::cmd("HSTRLEN");
        length.arg(&key).arg(user(1).0.as_bytes().as_slice());
        length.query_async(&mut connection).await.expect("a length")
    };
    let mut bytes = Vec::new();
    for n in 0..100 {
        let fingerprint = Fingerprint::new([3; DIGEST_LEN], [3; DIGEST_LEN]);
        let request = RequestKey { user: user(1), id: RequestId(Uuid::from_u128(n)), fingerprint };
        queues.join_as(user(1), 0, Some(request)).await;
        bytes.push(kept_bytes().await);
    }
    let each = bytes[0];
    assert!(each <= 51, "{each} bytes for one request");
    assert_eq!(bytes.iter().max(), Some(&(each * REQUESTS_KEPT)));
}

#[tokio::test]
async fn an_instance_with_a_wrong_clock_limits_nobody_for_longer() {
    let limits = RedisRateLimits::new(fresh_redis().await);
    let (key, limit) = (LimitKey::new("log_in", "somebody"), RateLimit::per(3, Duration::from_secs(30)));
    let (now, a_day_ahead) = (at(0), at(24 * 60 * 60 * 1_000));
    limits.take(&key, limit, a_day_ahead).await.expect("within the burst");
    limits.take(&key, limit, now).await.expect("within the burst");
    let refused = limits.take(&key, limit, now).await.expect_err("beyond the burst");
    let PortError::Refused(RateLimited(wait)) = refused else { panic!("Redis answers: {refused:?}") };
    assert!(wait <= Duration::from_secs(11), "{wait:?}");
}

async fn keys_and_whether_they_expire(prefix: &str) -> BTreeMap<String, bool> {
    let mut connection = bare_connection().await;
    let mut found = BTreeMap::new();
    let mut cursor = 0_u64;
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(1_000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(&mut connection).await.expect("a page of keys");
        for key in keys {
            let ttl: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.expect("a time");
            found.insert(key, ttl > 0);
        }
        cursor = next;
        if cursor == 0 {
            return found;
        }
    }
}
