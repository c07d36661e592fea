//! A whole sale.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::crowd::fan::{Crowd, by_number};
use crate::crowd::progress::Progress;
use crate::crowd::recorder::Recorder;
use crate::crowd::witness::{Line, Witness};
use crate::hall::Hall;
use crate::live::SaleView;
use crate::load::tally::to_f64;
use crate::operator::{LineTerms, Terms};
use crate::rehearsal::{Findings, RehearsalError, Run};
use crate::report::model::{Figure, Sample};
use crate::stage::{LocalInstances, StageKind};

/// How many fans come by default.
const FANS: u64 = 5_000;
/// How many seats one fan may have.
const SEATS_PER_FAN: u32 = 8;
/// How often the sale is looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(250);
/// An instance is killed when this share of the seats is sold, as one part of so many.
const KILL_AT_PART: u64 = 3;
/// How long it stays away.
const DEAD_FOR: Duration = Duration::from_secs(3);
/// How often one looks whether that is so, as a small sale is soon over.
const KILL_POLL: Duration = Duration::from_millis(10);
/// The fate of who has paid.
const PAID: &str = "paid";
/// By how much the clocks of other machines may differ from ours.
const CLOCK_SKEW_MS: u64 = 5_000;

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let habits = &run.args.crowd;
    let fans = run.fans(FANS);
    run.live.phase(&format!("a hall of {} seats, a line, {fans} fans", habits.seats));
    let hall = Hall::of(habits.seats);
    let line = line_terms(run);
    let terms =
        Terms { seats_per_fan: SEATS_PER_FAN, hold_for: Duration::from_secs(habits.hold_seconds), line: Some(line) };
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

fn line_terms(run: &Run<'_>) -> LineTerms {
    let habits = &run.args.crowd;
    // A second's worth at once after a quiet time.
    LineTerms { per_second: habits.admit_per_second, batch: habits.admit_per_second, cap: habits.cap, paused: false }
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
        if intended > Instant::now() {
            tokio::select! {
                () = sleep_until(intended) => {}
                () = crowd.stop.cancelled() => break,
            }
        }
        let crowd = Arc::clone(crowd);
        fans.spawn(async move { crowd.send(number, &token, intended).await });
    }
    while fans.join_next().await.is_some() {}
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

/// What became of the instance that was to be killed.
enum Killed {
    /// Nobody asked for it.
    Nobody,
    /// The sale was over before.
    TooLate,
    /// It was killed, and when; and when it served again, or why it did not.
    At(Instant, Result<Instant, String>),
}

impl Killed {
    /// Figures, counted from the beginning of the sale, and what could not be tried.
    fn told(self, begun: Instant) -> (Vec<Figure>, Vec<String>) {
        let figure = |name, at: Instant| figure(name, at.duration_since(begun).as_secs_f64(), "s");
        match self {
            Self::Nobody => (Vec::new(), Vec::new()),
            Self::TooLate => {
                let why =
                    format!("--kill: nobody was killed, as the sale ended before 1/{KILL_AT_PART} of it was sold");
                (Vec::new(), vec![why])
            }
            Self::At(killed, Ok(back)) => {
                let figures =
                    vec![figure("instance killed after", killed), figure("instance serves again after", back)];
                (figures, Vec::new())
            }
            Self::At(killed, Err(why)) => {
                let why = format!("--kill: the instance that was killed did not come back: {why}");
                (vec![figure("instance killed after", killed)], vec![why])
            }
        }
    }
}

/// If asked for, kills the last instance when the sale is in full swing, and starts it again.
async fn kill_one(run: &Run<'_>, crowd: &Crowd, seats: u64, over: &CancellationToken) -> Killed {
    let Some(instances) = run.stage.instances.as_ref().filter(|_| run.args.stage.kill) else { return Killed::Nobody };
    let in_full_swing = async {
        while crowd.progress.seats_sold.load(Ordering::Relaxed) < seats.div_ceil(KILL_AT_PART) {
            sleep(KILL_POLL).await;
        }
    };
    tokio::select! {
        () = in_full_swing => kill_and_restart(run, instances).await,
        () = over.cancelled() => Killed::TooLate,
        () = run.stop().cancelled() => Killed::TooLate,
    }
}

async fn kill_and_restart(run: &Run<'_>, instances: &LocalInstances) -> Killed {
    let victim = run.stage.addresses.len() - 1;
    instances.kill(victim);
    let killed = Instant::now();
    run.live.phase(&format!("instance {} was killed", victim + 1));
    let coming_back = async {
        sleep(DEAD_FOR).await;
        instances.restart(victim).await.map_err(|error| error.to_string())
    };
    let back = tokio::select! {
        back = coming_back => back,
        () = run.stop().cancelled() => Err("the rehearsal was ended".to_owned()),
    };
    run.live.phase(&match &back {
        Ok(()) => format!("instance {} serves again", victim + 1),
        Err(error) => format!("instance {} does not come back: {error}", victim + 1),
    });
    Killed::At(killed, back.map(|()| Instant::now()))
}

fn figure(name: &str, value: f64, unit: &str) -> Figure {
    Figure { name: name.to_owned(), value, unit: unit.to_owned() }
}

fn figures(crowd: &Crowd, took: Duration) -> Vec<Figure> {
    let sold = crowd.progress.seats_sold.load(Ordering::Relaxed);
    let mut figures =
        vec![figure("the sale took", took.as_secs_f64(), "s"), figure("seats sold", to_f64(sold), "seats")];
    let fates = by_number(crowd.progress.fates());
    figures.extend(fates.into_iter().map(|(fate, count)| figure(&format!("fans: {fate}"), to_f64(count), "fans")));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(killed: Killed, begun: Instant) -> (Vec<String>, Vec<String>) {
        let (figures, untried) = killed.told(begun);
        (figures.into_iter().map(|it| format!("{} {} {}", it.name, it.value, it.unit)).collect(), untried)
    }

    #[test]
    fn a_kill_leaves_its_trace() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(told(Killed::Nobody, begun), (vec![], vec![]));
        let figures = ["instance killed after 2 s", "instance serves again after 6 s"].map(str::to_owned);
        assert_eq!(told(Killed::At(at(2), Ok(at(6))), begun), (figures.to_vec(), vec![]));
        let (figures, untried) = told(Killed::At(at(2), Err("its port is taken".to_owned())), begun);
        assert_eq!((figures.len(), untried.len()), (1, 1));
        assert!(untried[0].ends_with("did not come back: its port is taken"));
        assert_eq!(told(Killed::TooLate, begun).1.len(), 1);
    }
}
