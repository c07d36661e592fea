//! A whole sale.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::environment::EnvironmentKind;
use crate::live::{People, SaleView};
use crate::load::drive::pass_on;
use crate::load::tally::to_f64;
use crate::operator::{QueueTerms, Terms};
use crate::report::model::{Figure, Sample};
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::kill::kill_one;
use crate::users::checker::{ConsistencyChecker, QueueLimits};
use crate::users::fan::{Users, by_number};
use crate::users::progress::Progress;
use crate::users::recorder::Recorder;
use crate::venue::Venue;

/// How many fans come by default.
const FANS: u64 = 5_000;
/// How many seats one fan may have.
const SEATS_PER_FAN: u32 = 8;
/// How often the sale is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// How often what the fans noted is checked while the sale goes on, as a number of samples.
const CHECK_EVERY: usize = 8;
/// The fate of who has paid.
const PAID: &str = "paid";
/// By how much the clocks of other machines may differ from ours.
const CLOCK_SKEW_MS: u64 = 5_000;

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let habits = &run.args.users;
    let fans = run.fans(FANS);
    run.live.phase(&format!("a venue of {} seats, a queue, {fans} fans", habits.seats));
    let venue = Venue::of(habits.seats);
    let queue = terms_of_queue(run);
    let terms =
        Terms { seats_per_fan: SEATS_PER_FAN, hold_for: Duration::from_secs(habits.hold_seconds), queue: Some(queue) };
    let operator = &run.environment.operator;
    let performances = operator.put_on_sale(venue, &terms, 1).await.map_err(RehearsalError::setup("the sale"))?;
    let tokens = operator.fans(fans).await.map_err(RehearsalError::setup("making fans"))?;
    let users = Arc::new(Users {
        connections: run.environment.connections.clone(),
        performance: performances[0].clone(),
        blocks: venue.blocks(),
        habits: habits.clone(),
        seed: run.args.seed,
        recorder: Recorder::default(),
        progress: Progress::default(),
        checker: ConsistencyChecker::default(),
        clock_skew_ms: clock_skew_ms(run),
        paid: Mutex::default(),
        stop: run.stop().clone(),
    });
    users.progress.seats_left.store(venue.seats().into(), Ordering::Relaxed);
    run.live.phase("the sale opens");
    let view = run.live.sale(fans, venue.seats().into());
    let begun = Instant::now();
    let over = CancellationToken::new();
    let (timeline, killed, ()) = tokio::join!(
        watch(&users, &view, limits(run, queue), begun, &over),
        kill_one(run, &users, u64::from(venue.seats()), &over),
        async {
            send_all(&users, tokens, begun).await;
            over.cancel();
        }
    );
    let took = begun.elapsed();
    view.finish();
    run.live.phase("those who paid look back");
    users.look_back().await;
    let kill = killed.report(begun);
    let mut figures = figures(&users, took);
    figures.extend(kill.figures);
    Ok(Findings {
        measurements: users.recorder.measurements("journey", took),
        figures,
        untried: kill.untried,
        timeline,
        marks: kill.marks,
        promises: users.checker.check(limits(run, queue)),
        performances,
        ..Findings::default()
    })
}

fn terms_of_queue(run: &Run<'_>) -> QueueTerms {
    let habits = &run.args.users;
    // A second's worth at once after a quiet time.
    QueueTerms {
        per_second: habits.admit_per_second,
        batch: habits.admit_per_second,
        max_active: habits.max_active,
        paused: false,
        grace: None,
    }
}

fn limits(run: &Run<'_>, queue: QueueTerms) -> QueueLimits {
    let skew_ms = clock_skew_ms(run);
    QueueLimits {
        max_active: queue.max_active.into(),
        per_second: queue.per_second.into(),
        batch: queue.batch.into(),
        skew_ms,
    }
}

fn clock_skew_ms(run: &Run<'_>) -> u64 {
    if run.environment.kind == EnvironmentKind::Address { CLOCK_SKEW_MS } else { 0 }
}

/// Lets everybody come at their moment, and waits until all are gone.
async fn send_all(users: &Arc<Users>, tokens: Vec<String>, begun: Instant) {
    let mut rng = ChaCha8Rng::seed_from_u64(users.seed);
    let within = Duration::from_secs(users.habits.arrive_within);
    let count = u64::try_from(tokens.len()).unwrap_or(u64::MAX);
    let schedule = users.habits.arrivals.schedule(count, within, &mut rng);
    let mut fans = JoinSet::new();
    for ((number, token), at) in (0..).zip(tokens).zip(schedule) {
        let intended = begun + at;
        tokio::select! {
            biased;
            () = users.stop.cancelled() => break,
            () = sleep_until(intended) => {}
        }
        let users = Arc::clone(users);
        fans.spawn(async move { users.send(number, &token, intended).await });
    }
    while let Some(fan) = fans.join_next().await {
        pass_on(fan);
    }
}

async fn watch(
    users: &Users,
    view: &SaleView,
    limits: QueueLimits,
    begun: Instant,
    over: &CancellationToken,
) -> Vec<Sample> {
    let mut timeline = Vec::new();
    let mut breaches = 0;
    let mut moments = interval(SAMPLE_EVERY);
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked_at = begun;
    let mut last = false;
    while !last {
        tokio::select! {
            _ = moments.tick() => {}
            () = over.cancelled() => last = true,
        }
        let (totals, recent) = (users.recorder.totals(), users.recorder.recent());
        let sample = users.progress.sample(begun.elapsed(), totals);
        if last || timeline.len().is_multiple_of(CHECK_EVERY) {
            breaches = users.checker.breaches(limits);
        }
        let people = People {
            gone: users.progress.gone.load(Ordering::Relaxed),
            paid: users.progress.fates().get(PAID).copied().unwrap_or_default(),
            breaches,
        };
        view.show(&sample, people, &recent, looked_at.elapsed());
        looked_at = Instant::now();
        timeline.push(sample);
    }
    timeline
}

fn figures(users: &Users, took: Duration) -> Vec<Figure> {
    let sold = users.progress.seats_sold.load(Ordering::Relaxed);
    let mut figures =
        vec![Figure::new("the sale took", took.as_secs_f64(), "s"), Figure::new("seats sold", to_f64(sold), "seats")];
    let fates = by_number(users.progress.fates());
    figures.extend(fates.into_iter().map(|(fate, count)| Figure::new(format!("fans: {fate}"), to_f64(count), "fans")));
    figures
}
