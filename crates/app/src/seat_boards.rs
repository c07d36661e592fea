//! The copies of live seats that this instance keeps: of every performance that somebody asks about here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::ports::SeatChanges;
use encore_domain::seat_state::{SeatState, SeatStock};
use tokio::task::AbortHandle;

use crate::error::AppError;
use crate::halls::Hall;
use crate::seat_board::{SeatBoard, lock};
use crate::seat_follower::SeatFollower;
use crate::seat_reader::SeatReader;

/// How many performances are followed at once; the copy of the largest hall takes 100 KB.
const FOLLOWED_MAX: usize = 1_000;
/// Counts alone make no more than these be followed, so that whoever lists what is on sale leaves room for those who look at
/// seats.
const FOLLOWED_FOR_COUNTS_MAX: usize = FOLLOWED_MAX / 2;
/// How long after somebody asked last a performance is followed.
const FOLLOWED_FOR: Duration = Duration::from_secs(30);

/// The boards of the performances that are followed. Clones share them; their followers end with the last of them.
#[derive(Clone)]
pub(crate) struct SeatBoards {
    reader: SeatReader,
    changes: Arc<dyn SeatChanges>,
    boards: Arc<Mutex<HashMap<PerformanceId, Followed>>>,
}

struct Followed {
    board: Arc<SeatBoard>,
    follower: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl SeatBoards {
    /// Follows nothing yet.
    pub(crate) fn new(reader: SeatReader, changes: Arc<dyn SeatChanges>) -> Self {
        Self { reader, changes, boards: Arc::default() }
    }

    /// The seats of a performance, with every change that was made before this was asked.
    pub(crate) async fn seats(&self, hall: &Hall) -> Result<Arc<SeatState>, AppError> {
        match self.board(hall, FOLLOWED_MAX) {
            Some(board) => board.seats(&self.reader).await,
            None => Ok(Arc::new(self.reader.live(hall).await?)),
        }
    }

    /// The board of a performance, with every change that was made before this was asked told or about to be.
    pub(crate) async fn watched(&self, hall: &Hall) -> Result<Arc<SeatBoard>, AppError> {
        let board = self.board(hall, FOLLOWED_MAX).ok_or(AppError::Overloaded)?;
        let state = board.seats(&self.reader).await?;
        board.told(&state).await;
        Ok(board)
    }

    /// How many seats are free and how many held, in the order asked, as of a moment ago. Only performances that are not
    /// followed yet are asked about.
    pub(crate) async fn stock(&self, performances: &[PerformanceId]) -> Result<Vec<SeatStock>, AppError> {
        let mut stock = Vec::with_capacity(performances.len());
        for performance in performances {
            let hall = self.reader.hall(*performance).await?;
            stock.push(self.board(&hall, FOLLOWED_FOR_COUNTS_MAX).and_then(|board| board.stock()));
        }
        let unknown = performances.iter().zip(&stock).filter(|(_, stock)| stock.is_none());
        let unknown: Vec<PerformanceId> = unknown.map(|(performance, _)| *performance).collect();
        if unknown.is_empty() {
            return Ok(stock.into_iter().flatten().collect());
        }
        let mut asked = self.reader.stock(&unknown).await?.into_iter();
        Ok(stock.into_iter().filter_map(|known| known.or_else(|| asked.next())).collect())
    }

    /// The board of a performance, which is followed from now on; none if as many are as may be.
    fn board(&self, hall: &Hall, followed_max: usize) -> Option<Arc<SeatBoard>> {
        let performance = hall.performance.id;
        let mut boards = lock(&self.boards);
        if let Some(Followed { board, follower }) = boards.get(&performance)
            && !follower.is_finished()
        {
            board.ask();
            return Some(Arc::clone(board));
        }
        boards.remove(&performance);
        if boards.len() >= followed_max {
            return None;
        }
        let board = Arc::new(SeatBoard::new(hall.clone()));
        let follower = tokio::spawn(self.keep(Arc::clone(&board))).abort_handle();
        boards.insert(performance, Followed { board: Arc::clone(&board), follower });
        Some(board)
    }

    /// Keeps a board until nobody has asked about it for a while.
    fn keep(&self, board: Arc<SeatBoard>) -> impl Future<Output = ()> + Send + use<> {
        let follower = SeatFollower::new(Arc::clone(&board), self.reader.clone(), Arc::clone(&self.changes));
        let boards = Arc::downgrade(&self.boards);
        follower.keep(move || {
            let Some(boards) = boards.upgrade() else { return true };
            // Whoever asks does so under this lock, so that nobody is given a board that is being forgotten.
            let mut boards = lock(&boards);
            let over = !board.is_wanted_within(FOLLOWED_FOR);
            if over {
                boards.remove(&board.hall.performance.id);
            }
            over
        })
    }
}
