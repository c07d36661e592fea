//! One shared copy of each watched line per instance, renewed once a tick, however many fans read their position off it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::line_snapshot::LineSnapshot;
use encore_domain::ports::{Clock, Lines, Presence};
use encore_domain::queue::{LineSettings, QueueTicket};
use encore_domain::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::AppError;
use crate::open_lines::OpenLines;
use crate::seat_map::SeatMap;

/// How often lines admit and their copies are renewed.
pub const TICK: Duration = Duration::from_millis(100);
/// How many streams one fan may have open on an instance: a few devices, and reconnections that crossed.
const STREAMS_PER_FAN_MAX: usize = 8;
/// A copy this old is renewed before a single question is answered from it.
const STALE_AFTER: Duration = Duration::from_millis(200);

/// A line as everybody on this instance sees it.
#[derive(Clone, Debug)]
pub struct LineView {
    /// When it was read.
    pub observed_at: Timestamp,
    /// The same on a clock that only runs forward, to tell the view's age.
    pub read_at: Instant,
    /// The line; none if nobody has joined.
    pub snapshot: Option<LineSnapshot>,
    /// How it admits; none if the sale is not open.
    pub settings: Option<LineSettings>,
    /// Seats of the performance that are neither held nor sold.
    pub seats_left: u32,
}

/// The copies of all lines that somebody on this instance watches.
#[derive(Clone)]
pub struct LineBoards {
    lines: Arc<dyn Lines>,
    seat_map: SeatMap,
    open_lines: OpenLines,
    clock: Arc<dyn Clock>,
    boards: Arc<Mutex<HashMap<PerformanceId, Arc<Board>>>>,
}

struct Board {
    views: watch::Sender<Option<Arc<LineView>>>,
    present: Mutex<PresentNumbers>,
    /// Held while the view is renewed, so that a crowd asking at once causes one renewal.
    renewing: tokio::sync::Mutex<()>,
}

impl LineView {
    /// Whether the line was read after this ticket was given out.
    fn knows(&self, ticket: &QueueTicket) -> bool {
        self.snapshot.as_ref().is_some_and(|line| line.epoch == ticket.epoch && line.tail >= ticket.number)
    }
}

impl Board {
    fn latest(&self) -> Option<Arc<LineView>> {
        self.views.borrow().clone()
    }
}

#[derive(Default)]
struct PresentNumbers {
    /// Open streams by place.
    streams: HashMap<Place, usize>,
    /// Places whose fans asked since the last report.
    asked: HashSet<Place>,
}

/// A run of the line and a number in it: the same number of another run is another fan's.
type Place = (i64, u64);

fn place(ticket: &QueueTicket) -> Place {
    (ticket.epoch, ticket.number)
}

/// An open stream's hold on a board: while it lives, its fan is present.
pub(crate) struct Watcher {
    board: Arc<Board>,
    place: Place,
    pub(crate) views: watch::Receiver<Option<Arc<LineView>>>,
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut present = lock(&self.board.present);
        if let Some(streams) = present.streams.get_mut(&self.place) {
            *streams -= 1;
            if *streams == 0 {
                present.streams.remove(&self.place);
                // Until the next report the fan still counts as seen.
                present.asked.insert(self.place);
            }
        }
    }
}

impl LineBoards {
    /// Watches nothing yet.
    pub fn new(lines: Arc<dyn Lines>, seat_map: SeatMap, open_lines: OpenLines, clock: Arc<dyn Clock>) -> Self {
        Self { lines, seat_map, open_lines, clock, boards: Arc::default() }
    }

    /// Watches a line on behalf of a fan, who is present from now on.
    pub(crate) async fn watch(&self, ticket: &QueueTicket) -> Result<Watcher, AppError> {
        let board = self.board(ticket.performance);
        self.view(ticket, &board).await?;
        {
            let mut present = lock(&board.present);
            let streams = present.streams.entry(place(ticket)).or_default();
            if *streams >= STREAMS_PER_FAN_MAX {
                return Err(AppError::Overloaded);
            }
            *streams += 1;
        }
        Ok(Watcher { views: board.views.subscribe(), board, place: place(ticket) })
    }

    /// The line as of a moment ago. The fan who asks is present.
    pub(crate) async fn view_for(&self, ticket: &QueueTicket) -> Result<Arc<LineView>, AppError> {
        let board = self.board(ticket.performance);
        lock(&board.present).asked.insert(place(ticket));
        self.view(ticket, &board).await
    }

    /// Renews the copies of all watched lines, and forgets those that nobody watches. A line that cannot be read does not
    /// keep the others from it.
    pub async fn renew_watched(&self) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for (performance, board) in self.watched() {
            let renewed = self.renew(performance, &board, self.open_lines.settings(performance)).await;
            outcome = outcome.and(renewed.map(drop));
        }
        outcome
    }

    /// Reports who is present on this instance. Who asked and could not be reported is reported the next time.
    pub async fn report_present(&self) -> Result<(), Unavailable> {
        let mut outcome = Ok(());
        for (performance, board) in self.watched() {
            let (streams, asked) = {
                let mut present = lock(&board.present);
                (present.streams.keys().copied().collect::<Vec<Place>>(), std::mem::take(&mut present.asked))
            };
            let Some(settings) = self.open_lines.settings(performance) else { continue };
            let epoch = board.latest().and_then(|view| Some(view.snapshot.as_ref()?.epoch));
            let here = streams.iter().chain(&asked).filter(|(run, _)| Some(*run) == epoch);
            let numbers: Vec<u64> = here.map(|(_, number)| *number).collect();
            if numbers.is_empty() {
                continue;
            }
            let presence = Presence { now: self.clock.now(), grace: settings.grace };
            let reported = self.lines.report_present(performance, &numbers, presence).await;
            if reported.is_err() {
                lock(&board.present).asked.extend(asked);
            }
            outcome = outcome.and(reported);
        }
        outcome
    }

    fn board(&self, performance: PerformanceId) -> Arc<Board> {
        let mut boards = lock(&self.boards);
        let new =
            || Arc::new(Board { views: watch::Sender::new(None), present: Mutex::default(), renewing: <_>::default() });
        Arc::clone(boards.entry(performance).or_insert_with(new))
    }

    fn watched(&self) -> Vec<(PerformanceId, Arc<Board>)> {
        let mut boards = lock(&self.boards);
        // A board that only this map knows, and that has nothing to report, can go.
        boards.retain(|_, board| Arc::strong_count(board) > 1 || !lock(&board.present).asked.is_empty());
        boards.iter().map(|(performance, board)| (*performance, Arc::clone(board))).collect()
    }

    /// A view that is fresh and knows the ticket, or was read after it was asked for.
    async fn view(&self, ticket: &QueueTicket, board: &Board) -> Result<Arc<LineView>, AppError> {
        let asked_at = Instant::now();
        let good = |view: &Arc<LineView>| view.read_at.elapsed() < STALE_AFTER && view.knows(ticket);
        if let Some(view) = board.latest().filter(good) {
            return Ok(view);
        }
        let _alone = board.renewing.lock().await;
        if let Some(view) = board.latest().filter(|view| view.read_at >= asked_at || good(view)) {
            return Ok(view);
        }
        let settings = self.open_lines.settings_now(ticket.performance).await?;
        self.renew(ticket.performance, board, settings).await
    }

    async fn renew(
        &self,
        performance: PerformanceId,
        board: &Board,
        settings: Option<LineSettings>,
    ) -> Result<Arc<LineView>, AppError> {
        let (observed_at, read_at) = (self.clock.now(), Instant::now());
        let snapshot = self.lines.snapshot(performance).await?;
        let seats_left = self.seat_map.stock(&[performance]).await?.iter().map(|stock| stock.free).sum();
        let view = Arc::new(LineView { observed_at, read_at, snapshot, settings, seats_left });
        board.views.send_replace(Some(Arc::clone(&view)));
        Ok(view)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
