//! One fan, from arriving to leaving.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use encore_proto::booking::v1::Reservation;
use encore_proto::catalog::v1::ListSeatsRequest;
use encore_proto::queue::v1::WatchPositionResponse;
use futures::StreamExt;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use uuid::Uuid;

use crate::client::{Caller, Connections};
use crate::operator::now;
use crate::options::UserArgs;
use crate::users::checker::{ConsistencyChecker, Notes};
use crate::users::chooser::{choose, free};
use crate::users::progress::Progress;
use crate::users::recorder::Recorder;

/// How many look back at once.
const LOOKING_BACK_AT_ONCE: usize = 64;
/// How often a fan whose seats were taken by others chooses again.
const CHOICES_MAX: u32 = 8;
/// How many of ten parties are of one, two, three and four.
const PARTIES: [usize; 10] = [1, 1, 2, 2, 2, 2, 2, 3, 4, 4];

/// What all fans of a sale share.
#[derive(Debug)]
pub struct Users {
    /// Their connections.
    pub connections: Connections,
    /// What they want to see.
    pub performance: String,
    /// The sections of the venue.
    pub blocks: Vec<String>,
    /// How they behave.
    pub habits: UserArgs,
    /// What their choices are drawn from.
    pub seed: u64,
    /// What they measure.
    pub recorder: Recorder,
    /// How far they are.
    pub progress: Progress,
    /// Collects what they noted.
    pub checker: ConsistencyChecker,
    /// By how much the servers' clocks may differ from the client's, in milliseconds.
    pub clock_skew_ms: u64,
    /// Those who charged their wallets, until they look back.
    pub paid: Mutex<Vec<(Notes, Caller)>>,
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

/// The way in: the open stream, which the fan keeps while inside, and the deadline.
pub(super) struct Entrance {
    pub(super) until_ms: u64,
    #[expect(dead_code, reason = "the open stream keeps the fan present")]
    pub(super) frames: Streaming<WatchPositionResponse>,
}

pub(super) struct Fan<'c> {
    pub(super) users: &'c Users,
    pub(super) rng: ChaCha8Rng,
    pub(super) caller: Caller,
    pub(super) notes: Notes,
    /// Which connection is used; the next one when a call failed.
    pub(super) turn: u64,
}

impl Users {
    /// A fan's whole journey; `intended` is when they meant to arrive.
    pub async fn send(&self, number: u64, access_token: &str, intended: Instant) {
        let Ok(caller) = Caller::new(self.connections.turn(number), access_token) else { return };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(number);
        let notes = Notes { fan: number, ..Notes::default() };
        let mut fan = Fan { users: self, rng, caller, notes, turn: number };
        let fate = match fan.journey(intended).await {
            Ok(fate) | Err(Exit::Over(fate)) => fate,
            Err(Exit::Refused(reason)) => refused_fate(&reason),
            Err(Exit::Failed) => "gave up after failures",
            Err(Exit::Stopped) => "sent home",
        };
        self.progress.end(fate);
        self.keep(fan.notes, fan.caller);
    }

    /// When all are gone: everybody who paid looks once more whether the seats are theirs and the wallet holds what it should.
    /// What was answered before an instance died must be true after it.
    pub async fn look_back(&self) {
        let paid = std::mem::take(&mut *self.paid.lock().unwrap_or_else(PoisonError::into_inner));
        let looking =
            futures::stream::iter(paid).for_each_concurrent(LOOKING_BACK_AT_ONCE, |(mut notes, caller)| async move {
                notes.balance_minor = caller.balance_minor().await.ok();
                if let Some(reservation) = &notes.reservation {
                    notes.confirmed = caller.is_confirmed(reservation).await.ok();
                }
                self.checker.keep(notes);
            });
        looking.await;
    }

    fn keep(&self, notes: Notes, caller: Caller) {
        if notes.charged_minor == 0 {
            return self.checker.keep(notes);
        }
        self.paid.lock().unwrap_or_else(PoisonError::into_inner).push((notes, caller));
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
        let progress = &self.users.progress;
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
        let progress = &self.users.progress;
        let _holding = Progress::during(&progress.holding);
        if self.rolls(self.users.habits.dither) {
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
            let performance = self.users.performance.clone();
            let call = move |caller: Caller| {
                let (performance, seats) = (performance.clone(), seats.clone());
                async move { caller.hold(request, &performance, &seats).await }
            };
            match self.retry_and_repeat("HoldSeats", at, call).await {
                Ok(hold) => return Ok(Some(hold)),
                Err(Exit::Refused(reason)) if reason == "SEATS_TAKEN" => {}
                Err(exit) => return Err(exit),
            }
        }
        Err(Exit::Refused("SEATS_TAKEN".to_owned()))
    }

    /// Looks at one block after the other until there are seats together, or at last any seats at all.
    async fn choose(&mut self, party: usize) -> Result<Option<Vec<String>>, Exit> {
        let mut blocks = self.users.blocks.clone();
        blocks.shuffle(&mut self.rng);
        let mut at = self.think().await?;
        let mut second_best = None;
        for block in blocks {
            let message = ListSeatsRequest {
                performance_id: self.users.performance.clone(),
                sections: vec![block],
                ..Default::default()
            };
            let map = self.retry("ListSeats", at, |caller| {
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
            let releasing = self.retry("ReleaseHold", at, |caller| {
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
        let charged = self.retry("TopUp", at, |caller| async move { caller.top_up(request, price_minor).await }).await;
        self.notes.money_unknown = matches!(charged, Err(Exit::Failed | Exit::Stopped));
        charged?;
        self.notes.charged_minor += price_minor;
        Ok(())
    }

    async fn pay(&mut self, hold: &Reservation, entrance: &Entrance) -> Result<(), Exit> {
        let at = self.think().await?;
        let (request, id) = (self.request_id(), hold.reservation_id.clone());
        // From here on the token may be used up.
        self.notes.inside_until_ms = Some(millis(now()).min(entrance.until_ms));
        let call = move |caller: Caller| {
            let id = id.clone();
            async move { caller.pay(request, &id).await }
        };
        let answer = self.retry_and_repeat("PayReservation", at, call).await;
        self.notes.money_unknown = matches!(answer, Err(Exit::Failed | Exit::Stopped));
        let payment = answer?;
        self.notes.paid_minor += payment.amount.as_ref().map_or(0, |amount| amount.amount_minor);
        if payment.amount != hold.total {
            self.notes.wrong_amounts.push(format!("paid {:?} for {:?}", payment.amount, hold.total));
        }
        self.notes.seats.extend(hold.seats.iter().map(|seat| seat.seat_id.clone()));
        self.notes.reservation = Some(hold.reservation_id.clone());
        Ok(())
    }

    pub(super) async fn leave(&mut self) {
        let out = Some(millis(now()));
        self.notes.inside_until_ms = self.notes.inside_until_ms.min(out).or(out);
        let leaving = self.retry("LeaveQueue", Instant::now(), |caller| async move { caller.leave().await });
        // A token that nobody gives back runs out by itself.
        let _ = leaving.await;
    }

    /// Thinks for a while. Answers when the fan means to act, which a busy machine may make later.
    async fn think(&mut self) -> Result<Instant, Exit> {
        let mean = Duration::from_millis(self.users.habits.think_ms);
        let at = Instant::now() + mean.mul_f64(self.rng.random_range(0.5..1.5));
        self.pause_until(at).await?;
        Ok(at)
    }

    pub(super) async fn pause_until(&self, at: Instant) -> Result<(), Exit> {
        tokio::select! {
            () = sleep_until(at) => Ok(()),
            () = self.users.stop.cancelled() => Err(Exit::Stopped),
        }
    }

    /// Whether something that so many of a hundred do happens.
    pub(super) fn rolls(&mut self, percent: u64) -> bool {
        self.rng.random_range(0..100) < percent
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
