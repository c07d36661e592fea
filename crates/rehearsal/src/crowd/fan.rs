//! One fan, from arriving to leaving.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use encore_proto::booking::v1::Reservation;
use encore_proto::catalog::v1::ListSeatsRequest;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use crate::client::{Caller, Connections};
use crate::crowd::chooser::{choose, free};
use crate::crowd::line::Entrance;
use crate::crowd::progress::Progress;
use crate::crowd::recorder::Recorder;
use crate::crowd::witness::{Notes, Witness};
use crate::load::Outcome;
use crate::operator::now;
use crate::options::CrowdArgs;

/// How often a call that failed is tried again, each time on the next instance.
const ATTEMPTS_MAX: u32 = 12;
/// How long the first pause before trying again is, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How often a fan whose seats were taken by others chooses again.
const CHOICES_MAX: u32 = 8;
/// How many of ten parties are of one, two, three and four.
const PARTIES: [usize; 10] = [1, 1, 2, 2, 2, 2, 2, 3, 4, 4];

/// What all fans of a sale share.
#[derive(Debug)]
pub struct Crowd {
    /// Their connections.
    pub connections: Connections,
    /// What they want to see.
    pub performance: String,
    /// The sections of the hall.
    pub blocks: Vec<String>,
    /// How they behave.
    pub habits: CrowdArgs,
    /// What their choices are drawn from.
    pub seed: u64,
    /// What they measure.
    pub recorder: Recorder,
    /// How far they are.
    pub progress: Progress,
    /// What they can swear to.
    pub witness: Witness,
    /// Sends everybody home.
    pub stop: CancellationToken,
}

/// Why a fan's journey ended before its aim.
#[derive(Debug)]
pub(super) enum Exit {
    /// A refusal, by its reason.
    Refused(String),
    /// Calls failed for too long.
    Failed,
    /// The token ended, or the fan's patience, for this reason.
    Over(&'static str),
    /// The rehearsal was ended.
    Stopped,
}

pub(super) struct Fan<'c> {
    pub(super) crowd: &'c Crowd,
    pub(super) rng: ChaCha8Rng,
    pub(super) caller: Caller,
    pub(super) notes: Notes,
    /// Which connection is used; the next one when a call failed.
    turn: u64,
}

impl Crowd {
    /// A fan's whole journey; `intended` is when they meant to arrive.
    pub async fn send(&self, number: u64, access_token: &str, intended: Instant) {
        self.progress.arrived.fetch_add(1, Ordering::Relaxed);
        let Ok(caller) = Caller::new(self.connections.turn(number), access_token) else { return };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(number);
        let notes = Notes { fan: number, ..Notes::default() };
        let mut fan = Fan { crowd: self, rng, caller, notes, turn: number };
        let fate = match fan.journey(intended).await {
            Ok(fate) | Err(Exit::Over(fate)) => fate,
            Err(Exit::Refused(reason)) => refused_fate(&reason),
            Err(Exit::Failed) => "gave up after failures",
            Err(Exit::Stopped) => "sent home",
        };
        fan.count_money().await;
        self.progress.end(fate);
        self.witness.keep(fan.notes);
    }
}

/// Refusals that a fan can meet, as fates; there are few, so that a table of them stays readable.
fn refused_fate(reason: &str) -> &'static str {
    match reason {
        "SEATS_TAKEN" => "always too late",
        "HOLD_EXPIRED" => "too slow to pay",
        "QUEUE_TOKEN_ENDED" => "token ended",
        _ => "refused",
    }
}

impl Fan<'_> {
    async fn journey(&mut self, arrived: Instant) -> Result<&'static str, Exit> {
        let entrance = self.enter(arrived).await?;
        let progress = &self.crowd.progress;
        progress.admitted.fetch_add(1, Ordering::Relaxed);
        let _inside = Progress::during(&progress.inside);
        let fate = self.shop(&entrance).await;
        if !matches!(fate, Ok("paid") | Err(Exit::Stopped)) {
            self.leave().await;
        }
        fate
    }

    async fn shop(&mut self, entrance: &Entrance) -> Result<&'static str, Exit> {
        let party = PARTIES[self.rng.random_range(0..PARTIES.len())];
        let Some(hold) = self.hold(party).await? else { return Ok("found no seats") };
        let progress = &self.crowd.progress;
        let _holding = Progress::during(&progress.holding);
        if self.rolls(self.crowd.habits.dither) {
            return self.dither(&hold).await;
        }
        self.charge(&hold).await?;
        self.pay(&hold, entrance).await?;
        progress.seats_sold.fetch_add(u64::try_from(hold.seats.len()).unwrap_or(0), Ordering::Relaxed);
        Ok("paid")
    }

    /// Chooses and holds, again and again while others are faster; none if nothing is left.
    async fn hold(&mut self, party: usize) -> Result<Option<Reservation>, Exit> {
        for _ in 0..CHOICES_MAX {
            let Some(seats) = self.choose(party).await? else { return Ok(None) };
            let at = self.think().await?;
            let request = self.request_id();
            let performance = self.crowd.performance.clone();
            let call = move |caller: Caller| {
                let (performance, seats) = (performance.clone(), seats.clone());
                async move { caller.hold(request, &performance, &seats).await }
            };
            match self.maybe_twice("HoldSeats", at, call, |hold| hold.reservation_id.clone()).await {
                Ok(hold) => return Ok(Some(hold)),
                Err(Exit::Refused(reason)) if reason == "SEATS_TAKEN" => {}
                Err(exit) => return Err(exit),
            }
        }
        Err(Exit::Refused("SEATS_TAKEN".to_owned()))
    }

    /// Looks at one block after the other until there are seats together, or at last any seats at all.
    async fn choose(&mut self, party: usize) -> Result<Option<Vec<String>>, Exit> {
        let mut blocks = self.crowd.blocks.clone();
        blocks.shuffle(&mut self.rng);
        let mut at = self.think().await?;
        let mut second_best = None;
        for block in blocks {
            let message = ListSeatsRequest {
                performance_id: self.crowd.performance.clone(),
                sections: vec![block],
                ..Default::default()
            };
            let map = self.insist("ListSeats", at, |caller| {
                let message = message.clone();
                async move { caller.seats(message).await }
            });
            let map = map.await?;
            at = Instant::now();
            if let Some(seats) = choose(&map, party, &mut self.rng) {
                return Ok(Some(seats));
            }
            if second_best.is_none() && free(&map) > 0 {
                second_best = choose(&map, 1, &mut self.rng);
            }
        }
        Ok(second_best)
    }

    /// Holds seats and does not pay: gives them back, or lets the time run out.
    async fn dither(&mut self, hold: &Reservation) -> Result<&'static str, Exit> {
        let at = self.think().await?;
        if self.rng.random_bool(0.5) {
            let (request, id) = (self.request_id(), hold.reservation_id.clone());
            let releasing = self.insist("ReleaseHold", at, |caller| {
                let id = id.clone();
                async move { caller.release(request, &id).await }
            });
            releasing.await?;
            return Ok("gave the seats back");
        }
        let seconds = hold.expires_at.map_or(0, |at| u64::try_from(at.seconds).unwrap_or(0));
        let left = Duration::from_secs(seconds).saturating_sub(now());
        self.pause_until(Instant::now() + left).await?;
        Ok("let the hold expire")
    }

    async fn charge(&mut self, hold: &Reservation) -> Result<(), Exit> {
        let price_minor = hold.total.as_ref().map_or(0, |total| total.amount_minor);
        let at = self.think().await?;
        let request = self.request_id();
        self.notes.money_unknown = true;
        self.insist("TopUp", at, |caller| async move { caller.top_up(request, price_minor).await }).await?;
        self.notes.money_unknown = false;
        self.notes.charged_minor += price_minor;
        Ok(())
    }

    async fn pay(&mut self, hold: &Reservation, entrance: &Entrance) -> Result<(), Exit> {
        let at = self.think().await?;
        let (request, id) = (self.request_id(), hold.reservation_id.clone());
        self.notes.money_unknown = true;
        // From here on the token may be used up.
        self.notes.inside_until_ms = Some(millis(now()).min(entrance.until_ms));
        let call = move |caller: Caller| {
            let id = id.clone();
            async move { caller.pay(request, &id).await }
        };
        let answer = self.maybe_twice("PayReservation", at, call, |payment| payment.payment_id.clone()).await;
        self.notes.money_unknown = matches!(answer, Err(Exit::Failed | Exit::Stopped));
        let payment = answer?;
        self.notes.paid_minor += payment.amount.map_or(0, |amount| amount.amount_minor);
        self.notes.seats.extend(hold.seats.iter().map(|seat| seat.seat_id.clone()));
        Ok(())
    }

    pub(super) async fn leave(&mut self) {
        let out = Some(millis(now()));
        self.notes.inside_until_ms = self.notes.inside_until_ms.min(out).or(out);
        let leaving = self.insist("LeaveQueue", Instant::now(), |caller| async move { caller.leave().await });
        // A token that nobody gives back runs out by itself.
        let _ = leaving.await;
    }

    async fn count_money(&mut self) {
        if self.notes.charged_minor > 0 {
            let asking =
                self.insist("GetBalance", Instant::now(), |caller| async move { caller.balance_minor().await });
            self.notes.balance_minor = asking.await.ok();
        }
    }

    /// Calls until there is an answer. A call that fails is repeated on the next instance; its time counts from when the
    /// fan first meant to call.
    pub(super) async fn insist<T, F>(
        &mut self,
        name: &'static str,
        intended: Instant,
        call: impl Fn(Caller) -> F,
    ) -> Result<T, Exit>
    where
        F: Future<Output = Result<T, Status>>,
    {
        for attempt in 0..ATTEMPTS_MAX {
            let answer = tokio::select! {
                answer = call(self.caller.clone()) => answer,
                () = self.crowd.stop.cancelled() => return Err(Exit::Stopped),
            };
            self.crowd.recorder.count(name, intended.elapsed(), &answer);
            match answer.as_ref().map_err(Outcome::of_status) {
                Err(Outcome::Refused(reason)) if reason != "OVERLOADED" => return Err(Exit::Refused(reason)),
                Err(_) => self.pause_before(attempt).await?,
                Ok(_) => return answer.map_err(|_| Exit::Failed),
            }
        }
        Err(Exit::Failed)
    }

    /// Sometimes sends a request twice at once, over two connections. Both must be answered the same.
    async fn maybe_twice<T, F>(
        &mut self,
        name: &'static str,
        intended: Instant,
        call: impl Fn(Caller) -> F + Clone,
        identity: impl Fn(&T) -> String,
    ) -> Result<T, Exit>
    where
        F: Future<Output = Result<T, Status>>,
    {
        if !self.rolls(self.crowd.habits.repeat) {
            return self.insist(name, intended, call).await;
        }
        let elsewhere = self.caller.over(self.crowd.connections.turn(self.turn + 1));
        let twin = call(elsewhere);
        let (first, second) = tokio::join!(self.insist(name, intended, call.clone()), twin);
        if let (Ok(one), Ok(other)) = (&first, &second) {
            self.notes.repeats += 1;
            if identity(one) != identity(other) {
                let differed = format!("{name} answered {} and {}", identity(one), identity(other));
                self.notes.repeats_differed.push(differed);
            }
        }
        // What the twin did is done, whatever the other one heard.
        match (first, second) {
            (Err(Exit::Refused(_) | Exit::Failed), Ok(answer)) => Ok(answer),
            (first, _) => first,
        }
    }

    async fn pause_before(&mut self, attempt: u32) -> Result<(), Exit> {
        self.turn += 1;
        self.caller = self.caller.over(self.crowd.connections.turn(self.turn));
        let pause = PAUSES.0.saturating_mul(1 << attempt.min(10)).min(PAUSES.1);
        let jitter = self.rng.random_range(0.5..1.5);
        self.pause_until(Instant::now() + pause.mul_f64(jitter)).await
    }

    /// Thinks for a while. Answers when the fan means to act, which a busy machine may make later.
    async fn think(&mut self) -> Result<Instant, Exit> {
        let mean = Duration::from_millis(self.crowd.habits.think_ms);
        let at = Instant::now() + mean.mul_f64(self.rng.random_range(0.5..1.5));
        self.pause_until(at).await?;
        Ok(at)
    }

    pub(super) async fn pause_until(&self, at: Instant) -> Result<(), Exit> {
        tokio::select! {
            () = sleep_until(at) => Ok(()),
            () = self.crowd.stop.cancelled() => Err(Exit::Stopped),
        }
    }

    /// Whether something that so many of a hundred do happens.
    pub(super) fn rolls(&mut self, percent: u64) -> bool {
        self.rng.random_range(0..100) < percent
    }

    /// Goes on over the next connection, as after a change of network.
    pub(super) fn change_connection(&mut self) {
        self.turn += 1;
        self.caller = self.caller.over(self.crowd.connections.turn(self.turn));
    }

    fn request_id(&mut self) -> Uuid {
        Uuid::from_u128(self.rng.random())
    }
}

pub(super) fn millis(since_1970: Duration) -> u64 {
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}

/// How many fans ended how, most first.
pub fn by_number(fates: BTreeMap<&'static str, u64>) -> Vec<(&'static str, u64)> {
    let mut fates: Vec<_> = fates.into_iter().collect();
    fates.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    fates
}
