//! An instance that dies in the middle of a sale.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::environment::Instances;
use crate::report::model::{Figure, Mark};
use crate::scenario::Run;
use crate::users::fan::Users;

/// An instance is killed when this share of the seats is sold, as one part of so many.
const KILL_AT_PART: u64 = 3;
/// How often one looks whether that is so, as a small sale is soon over.
const KILL_POLL: Duration = Duration::from_millis(10);
/// How long it stays away.
const DEAD_FOR: Duration = Duration::from_secs(3);

/// What became of the instance that was to be killed.
pub(super) enum Killed {
    /// Nobody asked for it.
    Nobody,
    /// The sale was over before.
    TooLate,
    /// It was killed, and when; and when it served again, or why it did not.
    At(Instant, Result<Instant, String>),
}

/// What a kill leaves in the report.
#[derive(Debug, Default)]
pub(super) struct KillReport {
    /// Seconds from the beginning of the sale.
    pub(super) figures: Vec<Figure>,
    pub(super) marks: Vec<Mark>,
    /// What could not be tried.
    pub(super) untried: Vec<String>,
}

impl Killed {
    /// The report of the kill in a sale that began at this moment.
    pub(super) fn report(self, begun: Instant) -> KillReport {
        let mut report = KillReport::default();
        match self {
            Self::Nobody => {}
            Self::TooLate => report
                .untried
                .push(format!("--kill: nobody was killed, as the sale ended before 1/{KILL_AT_PART} of it was sold")),
            Self::At(killed, back) => {
                report.add("instance killed", killed.duration_since(begun));
                match back {
                    Ok(back) => report.add("instance serves again", back.duration_since(begun)),
                    Err(why) => {
                        report.untried.push(format!("--kill: the instance that was killed did not come back: {why}"));
                    }
                }
            }
        }
        report
    }
}

impl KillReport {
    fn add(&mut self, what: &str, after: Duration) {
        let at = after.as_secs_f64();
        self.figures.push(Figure::new(format!("{what} after"), at, "s"));
        self.marks.push(Mark { at, what: what.to_owned() });
    }
}

/// If asked for, kills the last instance when the sale is in full swing, and starts it again.
pub(super) async fn kill_one(run: &Run<'_>, users: &Users, seats: u64, over: &CancellationToken) -> Killed {
    let Some(instances) = run.environment.instances.as_ref().filter(|_| run.args.environment.kill) else {
        return Killed::Nobody;
    };
    let in_full_swing = async {
        while users.progress.seats_sold.load(Ordering::Relaxed) < seats.div_ceil(KILL_AT_PART) {
            sleep(KILL_POLL).await;
        }
    };
    tokio::select! {
        () = in_full_swing => kill_and_restart(run, instances).await,
        () = over.cancelled() => Killed::TooLate,
        () = run.stop().cancelled() => Killed::TooLate,
    }
}

async fn kill_and_restart(run: &Run<'_>, instances: &Instances) -> Killed {
    let victim = run.environment.addresses.len() - 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn told(killed: Killed, begun: Instant) -> (Vec<String>, Vec<String>, Vec<String>) {
        let KillReport { figures, marks, untried } = killed.report(begun);
        (
            figures.into_iter().map(|it| format!("{} {} {}", it.name, it.value, it.unit)).collect(),
            marks.into_iter().map(|it| format!("{} {}", it.at, it.what)).collect(),
            untried,
        )
    }

    #[test]
    fn a_kill_leaves_figures_and_marks() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(told(Killed::Nobody, begun), (vec![], vec![], vec![]));
        let figures = ["instance killed after 2 s", "instance serves again after 6 s"].map(str::to_owned);
        let marks = ["2 instance killed", "6 instance serves again"].map(str::to_owned);
        assert_eq!(told(Killed::At(at(2), Ok(at(6))), begun), (figures.to_vec(), marks.to_vec(), vec![]));
        let (figures, marks, untried) = told(Killed::At(at(2), Err("its port is taken".to_owned())), begun);
        assert_eq!((figures.len(), marks.len(), untried.len()), (1, 1, 1));
        assert!(untried[0].ends_with("did not come back: its port is taken"));
        assert_eq!(told(Killed::TooLate, begun).2.len(), 1);
    }
}
