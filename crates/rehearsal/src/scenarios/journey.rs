//! A whole sale.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::crowd::fan::{Crowd, by_number};
use crate::crowd::progress::Progress;
use crate::crowd::recorder::Recorder;
use crate::crowd::witness::{Line, Witness};
use crate::hall::PerformanceContext;
use crate::live::SaleView;
use crate::load::drive::pass_on;
use crate::load::tally::to_f64;
use crate::operator::{LineTerms, Terms};
use crate::rehearsal::{Findings, RehearsalError, Run};
use crate::report::model::{Figure, Sample};
use crate::scenarios::kill::kill_one;
use crate::stage::StageKind;

/// How many fans come by default.
const FANS: u64 = 5_000;
/// How many seats one fan may have.
const SEATS_PER_FAN: u32 = 8;
/// How often the sale is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// The fate of who has paid.
const PAID: &str = "paid";
/// By how much the clocks of other machines may differ from ours.
const CLOCK_SKEW_MS: u64 = 5_000;

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let habits = &run.args.crowd;
    let fans = run.fans(FANS);
    run.live.phase(&format!("a hall of {} seats, a line, {fans} fans", habits.seats));
    let hall = PerformanceContext::of(habits.seats);
    let line = queue_terms(run);
    let terms =
        Terms { seats_per_fan: SEATS_PER_FAN, hold_for: Duration::from_secs(habits.hold_seconds), queue: Some(line) };
    let operator = &run.stage.operator;
    let performances = operator.put_on_sale(hall, &terms, 1).await.map_err(RehearsalError::setup("the sale"))?;
    let tokens = operator.fans(fans).await.map_err(RehearsalError::setup("making fans"))?;
    let crowd = Arc::new(Crowd {
        connections: run.stage.connections.clone(),
        performance: performances[0].clone(),
        blocks: hall.blocks(),
        habits: habits.clone(),
        seed: run.args.seed,
        recorder: Recorder::default(),
        progress: Progress::default(),
        witness: Witness::default(),
        clock_skew_ms: clock_skew_ms(run),
        paid: Mutex::default(),
        stop: run.stop().clone(),
    });
    crowd.progress.seats_left.store(hall.seats().into(), Ordering::Relaxed);
    run.live.phase("the doors open");
    let view = run.live.sale(fans, hall.seats().into());
    let begun = Instant::now();
    let over = CancellationToken::new();
    let (timeline, killed, ()) = tokio::join!(
        watch(&crowd, &view, begun, &over),
        kill_one(run, &crowd, u64::from(hall.seats()), &over),
        async {
            send_all(&crowd, tokens, begun).await;
            over.cancel();
        }
    );
    let took = begun.elapsed();
    view.finish();
    run.live.phase("those who paid look back");
    crowd.look_back().await;
    let (kill_figures, untried) = killed.told(begun);
    let mut figures = figures(&crowd, took);
    figures.extend(kill_figures);
    Ok(Findings {
        measurements: crowd.recorder.measurements("journey", took),
        figures,
        untried,
        timeline,
        promises: crowd.witness.testify(testimony(run, line)),
        performances,
        ..Findings::default()
    })
}

fn queue_terms(run: &Run<'_>) -> LineTerms {
    let habits = &run.args.crowd;
    // A second's worth at once after a quiet time.
    LineTerms {
        per_second: habits.admit_per_second,
        batch: habits.admit_per_second,
        cap: habits.cap,
        paused: false,
        grace: None,
    }
}

fn testimony(run: &Run<'_>, line: LineTerms) -> Line {
    let skew_ms = clock_skew_ms(run);
    Line { cap: line.cap.into(), per_second: line.per_second.into(), batch: line.batch.into(), skew_ms }
}

fn clock_skew_ms(run: &Run<'_>) -> u64 {
    if run.stage.kind == StageKind::Address { CLOCK_SKEW_MS } else { 0 }
}

/// Lets everybody come at their moment, and waits until all are gone.
async fn send_all(crowd: &Arc<Crowd>, tokens: Vec<String>, begun: Instant) {
    let mut rng = ChaCha8Rng::seed_from_u64(crowd.seed);
    let within = Duration::from_secs(crowd.habits.arrive_within);
    let count = u64::try_from(tokens.len()).unwrap_or(u64::MAX);
    let schedule = crowd.habits.arrivals.schedule(count, within, &mut rng);
    let mut fans = JoinSet::new();
    for ((number, token), at) in (0..).zip(tokens).zip(schedule) {
        let intended = begun + at;
        tokio::select! {
            biased;
            () = crowd.stop.cancelled() => break,
            () = sleep_until(intended) => {}
        }
        let crowd = Arc::clone(crowd);
        fans.spawn(async move { crowd.send(number, &token, intended).await });
    }
    while let Some(fan) = fans.join_next().await {
        pass_on(fan);
    }
}

async fn watch(crowd: &Crowd, view: &SaleView, begun: Instant, over: &CancellationToken) -> Vec<Sample> {
    let mut timeline = Vec::new();
    let mut moments = interval(SAMPLE_EVERY);
    moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked_at = begun;
    let mut last = false;
    while !last {
        tokio::select! {
            _ = moments.tick() => {}
            () = over.cancelled() => last = true,
        }
        let (totals, recent) = (crowd.recorder.totals(), crowd.recorder.recent());
        let sample = crowd.progress.sample(begun.elapsed(), totals);
        let paid = crowd.progress.fates().get(PAID).copied().unwrap_or_default();
        view.show(&sample, (crowd.progress.gone.load(Ordering::Relaxed), paid), &recent, looked_at.elapsed());
        looked_at = Instant::now();
        timeline.push(sample);
    }
    timeline
}

fn figures(crowd: &Crowd, took: Duration) -> Vec<Figure> {
    let sold = crowd.progress.seats_sold.load(Ordering::Relaxed);
    let mut figures =
        vec![Figure::new("the sale took", took.as_secs_f64(), "s"), Figure::new("seats sold", to_f64(sold), "seats")];
    let fates = by_number(crowd.progress.fates());
    figures.extend(fates.into_iter().map(|(fate, count)| Figure::new(format!("fans: {fate}"), to_f64(count), "fans")));
    figures
}
