//! The estimated wait: measured once, and told alike to everybody who asks.

use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::queue::{QueueRate, QueueSettings};
use encore_proto::admin::v1::{GetQueueRequest, LaneReport, PauseQueueRequest, WatchQueueRequest};
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_proto::queue::v1::{JoinQueueRequest, JoinQueueResponse, Waiting};
use encore_tests::fan::{Fan, next_status};
use encore_tests::world::{World, until};

/// One fan every ten seconds, one fan inside, and sessions of a minute.
fn slow() -> QueueSettings {
    let rate = QueueRate { admissions: 1, period: Duration::from_secs(10) };
    QueueSettings { rate, batch: 1, active_duration: Duration::from_mins(1), ..QueueSettings::default() }
}

fn waiting(status: QueueStatus) -> Waiting {
    if let QueueStatus::Waiting(waiting) = status { waiting } else { panic!("not waiting: {status:?}") }
}

/// The wait in seconds at the usual and at the slowest rate.
fn wait_secs(waiting: &Waiting) -> (Option<i64>, Option<i64>) {
    (waiting.wait_p50.map(|wait| wait.seconds), waiting.wait_p90.map(|wait| wait.seconds))
}

fn known(secs: i64) -> (Option<i64>, Option<i64>) {
    (Some(secs), Some(secs))
}

async fn join(fan: &mut Fan, performance: PerformanceId) -> JoinQueueResponse {
    let message = JoinQueueRequest { performance_id: performance.to_string(), ..JoinQueueRequest::default() };
    fan.send_join(message).await.expect("a queue token")
}

async fn told_on_join(fan: &mut Fan, performance: PerformanceId) -> Waiting {
    waiting(join(fan, performance).await.status.and_then(|status| status.status).expect("a status"))
}

/// The report of the first lane, from a call and from a stream.
async fn lane_reports(operator: &Fan, performance: PerformanceId) -> [LaneReport; 2] {
    let performance_id = performance.to_string();
    let get = operator.request(GetQueueRequest { performance_id: performance_id.clone() });
    let got = operator.admin().get_queue(get).await.expect("a report").into_inner().queue.expect("a report");
    assert!(got.tick.is_some(), "the tick is told although nobody watches the queue");
    let watch = operator.request(WatchQueueRequest { performance_id });
    let mut frames = operator.admin().watch_queue(watch).await.expect("a stream").into_inner();
    let frame = frames.message().await.expect("a frame").expect("a frame");
    [got, frame.queue.expect("a report")].map(|report| report.lanes[0].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wait_is_told_alike_to_all_who_ask() {
    for world in [World::durable(2).await, World::embedded().await] {
        let operator = world.operator().await;
        let performance = world.performance(Some(slow())).await;
        let mut inside = world.fan(0).await;
        inside.enter(performance).await.expect("admitted");
        let (mut first, mut second) = (world.fan(0).await, world.fan(1).await);
        let told = told_on_join(&mut first, performance).await;
        assert_eq!((told.position, wait_secs(&told)), (1, known(10)), "the configured rate, until one is measured");
        let told = told_on_join(&mut second, performance).await;
        assert_eq!((told.position, wait_secs(&told)), (2, known(20)));
        let told = waiting(second.position().await.expect("a status"));
        assert_eq!((told.position, wait_secs(&told)), (2, known(20)), "to a fan who polls");
        let told = waiting(next_status(&mut second.watch().await.expect("a stream")).await);
        assert_eq!((told.position, wait_secs(&told)), (2, known(20)), "to a fan with a stream");
        let is_told = async || {
            let reports = lane_reports(&operator, performance).await;
            reports.iter().all(|lane| lane.wait_p50.is_some_and(|wait| wait.seconds == 30))
        };
        until("the wait in the reports of operators", || async { is_told().await }).await;

        let pause = PauseQueueRequest { performance_id: performance.to_string(), ..PauseQueueRequest::default() };
        operator.admin().pause_queue(operator.request(pause)).await.expect("paused");
        let is_paused = async || {
            let told = waiting(second.position().await.expect("a status"));
            told.paused && wait_secs(&told) == (None, None)
        };
        until("no wait while the queue is paused", || async { is_paused().await }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_tells_the_wait_by_the_length_of_a_session() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(QueueSettings { max_active: 1, ..slow() })).await;
    let mut inside = world.fan(0).await;
    inside.enter(performance).await.expect("admitted");
    let mut fan = world.fan(1).await;
    let told = told_on_join(&mut fan, performance).await;
    assert_eq!((told.position, wait_secs(&told)), (1, known(60)), "one session of a minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_tells_what_reading_the_position_tells() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(slow())).await;
    let mut fan = world.fan(0).await;
    let joined = join(&mut fan, performance).await;
    assert_eq!((joined.join_index, joined.needs_accessible), (1, false));
    assert!(joined.issued_at.is_some() && joined.observed_at.is_some(), "{joined:?}");
    fan.wait().await.expect("admitted");
    let read = fan.position_response().await.expect("a status");
    assert_eq!(read.issued_at, joined.issued_at);
    let again = join(&mut fan, performance).await;
    assert_eq!(again.issued_at, joined.issued_at);
    let status = again.status.and_then(|status| status.status).expect("a status");
    assert!(
        matches!(status, QueueStatus::Admitted(admitted) if admitted.until.is_some()),
        "an admitted fan joins again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_left_is_never_told_to_wait() {
    for world in [World::durable(2).await, World::embedded().await] {
        let performance = world.performance(Some(QueueSettings { paused: true, ..slow() })).await;
        for turn in 0..10 {
            let mut fan = world.fan(turn).await;
            fan.join(performance).await.expect("a queue token");
            let elsewhere = fan.on(world.channel(turn + 1));
            waiting(elsewhere.position().await.expect("a status"));
            fan.leave().await.expect("left");
            for asked in [&elsewhere, &fan] {
                let status = asked.position().await.expect("a status");
                assert!(matches!(status, QueueStatus::Ended(_)), "{status:?}");
            }
        }
    }
}
