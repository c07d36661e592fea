//! One shared copy of each watched line per instance, renewed once a tick, however many fans read their position off it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use encore_domain::error::PortError;
use encore_domain::ids::PerformanceId;
use encore_domain::line_snapshot::LineSnapshot;
use encore_domain::ports::{Clock, LineLost, Lines, Presence};
use encore_domain::queue::{AdmissionMeter, LaneNumber, QueueTicket};
use encore_domain::time::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::AppError;
use crate::line_keeper::LineKeeper;
use crate::line_presence::Presences;
use crate::line_view::{LineView, Notice};
use crate::open_lines::{OpenLine, OpenLines};
use crate::seat_map::SeatMap;

/// How often lines admit and their copies are renewed.
pub const TICK: Duration = Duration::from_millis(100);
/// A copy this old is renewed before a single question is answered from it.
const STALE_AFTER: Duration = Duration::from_millis(200);

/// The copies of all lines that somebody on this instance watches.
#[derive(Clone)]
pub struct LineBoards {
    keeper: LineKeeper,
    lines: Arc<dyn Lines>,
    seat_map: SeatMap,
    open_lines: OpenLines,
    clock: Arc<dyn Clock>,
    boards: Arc<Mutex<HashMap<PerformanceId, Arc<Board>>>>,
}

struct Board {
    views: watch::Sender<Option<Arc<LineView>>>,
    /// Changes only with what everybody must learn at once.
    notices: watch::Sender<Notice>,
    present: Presences,
    /// Held while the view is renewed, so that a crowd asking at once causes one renewal.
    renewing: tokio::sync::Mutex<Renewal>,
}

/// What is remembered from one renewal to the next.
#[derive(Default)]
struct Renewal {
    meters: Vec<AdmissionMeter>,
    /// To which placing of the line the fans here have shown their places.
    shown_to: Option<Timestamp>,
}

/// An open stream's hold on a board: while it lives, its fan is present.
pub(crate) struct Watcher {
    board: Arc<Board>,
    ticket: QueueTicket,
    pub(crate) views: watch::Receiver<Option<Arc<LineView>>>,
    pub(crate) notices: watch::Receiver<Notice>,
}

impl Watcher {
    /// The fan was admitted: what is shown of the ticket says so from now on.
    pub(crate) fn admitted(&self, until: Timestamp) {
        self.board.present.admitted(&self.ticket, until);
    }

    /// How many fans are here.
    pub(crate) fn guests(&self) -> usize {
        self.board.present.count()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.board.present.go(&self.ticket);
    }
}

impl Board {
    fn new(performance: PerformanceId) -> Self {
        Self {
            views: watch::Sender::new(None),
            notices: watch::Sender::default(),
            present: Presences::new(performance),
            renewing: tokio::sync::Mutex::default(),
        }
    }

    fn latest(&self) -> Option<Arc<LineView>> {
        self.views.borrow().clone()
    }

    fn publish(&self, view: Arc<LineView>) {
        let notice = view.notice();
        self.views.send_replace(Some(view));
        self.notices.send_if_modified(|before| {
            let changes = *before != notice;
            *before = notice;
            changes
        });
    }
}

impl LineBoards {
    /// Watches nothing yet.
    pub fn new(
        keeper: LineKeeper,
        lines: Arc<dyn Lines>,
        seat_map: SeatMap,
        open_lines: OpenLines,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { keeper, lines, seat_map, open_lines, clock, boards: Arc::default() }
    }

    /// Watches a line on behalf of a fan, who is present from now on.
    pub(crate) async fn watch(&self, ticket: &QueueTicket) -> Result<Watcher, AppError> {
        let board = self.board(ticket.performance);
        self.view(ticket, &board).await?;
        board.present.come(ticket)?;
        let (views, notices) = (board.views.subscribe(), board.notices.subscribe());
        Ok(Watcher { views, notices, board, ticket: *ticket })
    }

    /// The line as of a moment ago. The fan who asks is present.
    pub(crate) async fn view_for(&self, ticket: &QueueTicket) -> Result<Arc<LineView>, AppError> {
        let board = self.board(ticket.performance);
        board.present.ask(ticket);
        self.view(ticket, &board).await
    }

    /// The line as of a moment ago, for who stands in none.
    pub async fn view_of(&self, performance: PerformanceId) -> Result<Arc<LineView>, AppError> {
        let board = self.board(performance);
        let fresh = |view: &Arc<LineView>| view.read_at.elapsed() < STALE_AFTER;
        if let Some(view) = board.latest().filter(fresh) {
            return Ok(view);
        }
        let mut renewal = board.renewing.lock().await;
        if let Some(view) = board.latest().filter(fresh) {
            return Ok(view);
        }
        let open = self.open_lines.line_now(performance).await?;
        self.renew(performance, &board, &mut renewal, open, None).await
    }

    /// The line as of now.
    pub(crate) async fn renewed_view(&self, performance: PerformanceId) -> Result<Arc<LineView>, AppError> {
        let board = self.board(performance);
        let mut renewal = board.renewing.lock().await;
        let open = self.open_lines.line_now(performance).await?;
        self.renew(performance, &board, &mut renewal, open, None).await
    }

    /// Renews the copies of all watched lines, and forgets those that nobody watches. A line that cannot be read does not
    /// keep the others from it. `admitted_in` says what the tick has taken for each until now.
    pub async fn renew_watched(&self, admitted_in: &HashMap<PerformanceId, Duration>) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for (performance, board) in self.watched() {
            let mut renewal = board.renewing.lock().await;
            let (open, admitted_in) = (self.open_lines.line(performance), admitted_in.get(&performance).copied());
            let renewed = self.renew(performance, &board, &mut renewal, open, admitted_in).await;
            outcome = outcome.and(renewed.map(drop));
        }
        outcome
    }

    /// Reports who is present on this instance. Who asked and could not be reported is reported the next time.
    pub async fn report_present(&self) -> Result<(), AppError> {
        let mut outcome = Ok(());
        for (performance, board) in self.watched() {
            let Some(open) = self.open_lines.line(performance) else { continue };
            let Some(epoch) = board.latest().and_then(|view| Some(view.snapshot.as_ref()?.epoch)) else { continue };
            let tickets = board.present.take_report(epoch);
            if tickets.is_empty() {
                continue;
            }
            let presence = Presence { now: self.clock.now(), grace: open.line.settings.grace };
            let reported = self.report(performance, &tickets, presence).await;
            if reported.is_err() {
                board.present.put_back(&tickets);
            }
            outcome = outcome.and(reported);
        }
        outcome
    }

    async fn report(
        &self,
        performance: PerformanceId,
        tickets: &[QueueTicket],
        presence: Presence,
    ) -> Result<(), AppError> {
        let drawn = self.keeper.knows_draw(performance);
        let numbers: Vec<LaneNumber> = tickets.iter().map(|ticket| self.keeper.place(ticket).lane_number()).collect();
        match self.lines.report_present(performance, &numbers, drawn, presence).await {
            // A lost line is put in place by the next tick; showing a place is being seen.
            Ok(()) | Err(PortError::Refused(LineLost)) => Ok(()),
            Err(PortError::RequestReused) => Err(AppError::RequestReused),
            Err(PortError::Unavailable(weather)) => Err(weather.into()),
        }
    }

    fn board(&self, performance: PerformanceId) -> Arc<Board> {
        let mut boards = lock(&self.boards);
        Arc::clone(boards.entry(performance).or_insert_with(|| Arc::new(Board::new(performance))))
    }

    fn watched(&self) -> Vec<(PerformanceId, Arc<Board>)> {
        let mut boards = lock(&self.boards);
        // A board that only this map knows, and that has nothing to report, can go.
        boards.retain(|_, board| Arc::strong_count(board) > 1 || !board.present.is_empty());
        boards.iter().map(|(performance, board)| (*performance, Arc::clone(board))).collect()
    }

    /// A view that is fresh and knows the ticket, or was read after it was asked for.
    async fn view(&self, ticket: &QueueTicket, board: &Board) -> Result<Arc<LineView>, AppError> {
        let asked_at = Instant::now();
        let good =
            |view: &Arc<LineView>| view.read_at.elapsed() < STALE_AFTER && view.knows(&self.keeper.place(ticket));
        if let Some(view) = board.latest().filter(good) {
            return Ok(view);
        }
        let mut renewal = board.renewing.lock().await;
        if let Some(view) = board.latest().filter(|view| view.read_at >= asked_at || good(view)) {
            return Ok(view);
        }
        let open = self.open_lines.line_now(ticket.performance).await?;
        self.renew(ticket.performance, board, &mut renewal, open, None).await
    }

    async fn renew(
        &self,
        performance: PerformanceId,
        board: &Board,
        renewal: &mut Renewal,
        open: Option<OpenLine>,
        admitted_in: Option<Duration>,
    ) -> Result<Arc<LineView>, AppError> {
        let (observed_at, read_at) = (self.clock.now(), Instant::now());
        let snapshot = self.shown(performance, board, renewal, open.as_ref()).await?;
        let stock = self.seat_map.stock(&[performance]).await?.first().copied().unwrap_or_default();
        if let Some(snapshot) = &snapshot {
            renewal.meters.resize_with(snapshot.lanes.len(), AdmissionMeter::default);
            for (meter, lane) in renewal.meters.iter_mut().zip(&snapshot.lanes) {
                meter.note(observed_at, lane.called);
            }
        }
        let message = open.as_ref().and_then(|open| open.line.settings.message.clone()).map(Arc::new);
        let meters = renewal.meters.clone();
        let tick = admitted_in.map(|admitted_in| admitted_in + read_at.elapsed());
        let view = Arc::new(LineView { observed_at, read_at, snapshot, open, stock, meters, message, tick });
        board.publish(Arc::clone(&view));
        Ok(view)
    }

    /// A copy of the line in which everybody here is seen: where it was put in place since they were shown last, they are shown
    /// before anybody reads the copy.
    async fn shown(
        &self,
        performance: PerformanceId,
        board: &Board,
        renewal: &mut Renewal,
        open: Option<&OpenLine>,
    ) -> Result<Option<LineSnapshot>, AppError> {
        let Some(snapshot) = self.keeper.snapshot(performance).await? else { return Ok(None) };
        self.keeper.learn(performance, open.and_then(OpenLine::draw_key), &snapshot);
        let placed_at = Some(snapshot.restored_at);
        let Some(open) = open.filter(|_| renewal.shown_to != placed_at) else { return Ok(Some(snapshot)) };
        let tickets = board.present.tickets(snapshot.epoch);
        if tickets.is_empty() {
            renewal.shown_to = placed_at;
            return Ok(Some(snapshot));
        }
        let presence = Presence { now: self.clock.now(), grace: open.line.settings.grace };
        self.keeper.show(performance, &tickets, presence).await?;
        renewal.shown_to = placed_at;
        self.keeper.snapshot(performance).await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
