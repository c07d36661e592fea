//! The state of every sale: its queue and its seats.

use std::sync::Arc;
use std::time::Duration;

use encore_app::contexts::PerformanceContexts;
use encore_domain::booking::seat_state::SeatStock;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::Clock;
use encore_domain::queue::snapshot::{LaneSnapshot, QueueSnapshot};
use encore_domain::time::Timestamp;
use encore_seat_map::SeatMap;
use encore_waiting_room::WaitingRoom;
use futures::{StreamExt, stream};
use metrics::gauge;
use tokio::time::timeout;

/// The most performances that have labels of their own, in the order of their ids: the oldest first. Others are added up
/// under [`OTHERS`].
const LABELLED_MAX: usize = 100;
/// The label of all further performances.
const OTHERS: &str = "others";
/// How many sales are read at once.
const READ_AT_ONCE: usize = 8;
/// How long reading one sale may take.
const READ_WITHIN: Duration = Duration::from_secs(2);

/// Reads the state of every sale.
#[derive(Clone)]
pub struct Sales {
    pub(crate) room: WaitingRoom,
    pub(crate) seat_map: SeatMap,
    pub(crate) contexts: PerformanceContexts,
    pub(crate) clock: Arc<dyn Clock>,
}

/// The state of all sales at one moment.
pub(super) struct SalesRead {
    open: usize,
    unread: usize,
    rows: Vec<(String, SaleCounts)>,
}

/// The counts of one sale, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct SaleCounts {
    waiting: u64,
    called: u64,
    active: u64,
    max_active: u64,
    joined: u64,
    accepted: u64,
    no_shows: u64,
    left: u64,
    abandoned: u64,
    used: u64,
    expired: u64,
    free: u64,
    held: u64,
    sold_or_blocked: u64,
}

impl Sales {
    /// Reads every sale once. One that hangs or fails is left out and counted.
    pub(super) async fn read(&self) -> SalesRead {
        let mut performances = self.room.on_sale();
        performances.sort_unstable();
        let open = performances.len();
        let counted = stream::iter(performances)
            .map(|performance| async move { (performance, self.count(performance).await) })
            .buffered(READ_AT_ONCE);
        let counted: Vec<(PerformanceId, Option<SaleCounts>)> = counted.collect().await;
        let unread = counted.iter().filter(|(_, counts)| counts.is_none()).count();
        let known = counted.into_iter().filter_map(|(performance, counts)| Some((performance.to_string(), counts?)));
        SalesRead { open, unread, rows: bounded(known.collect()) }
    }

    async fn count(&self, performance: PerformanceId) -> Option<SaleCounts> {
        let counts = async {
            let mut counts = SaleCounts::default();
            if let Some(queue) = self.room.stored_snapshot(performance).await.ok()? {
                counts.add_queue(&queue, self.clock.now());
            }
            if let Some(max_active) = self.room.max_active(performance) {
                counts.max_active = max_active.into();
            }
            let stock = *self.seat_map.stock(&[performance]).await.ok()?.first()?;
            let for_sale = self.contexts.context(performance).await.ok()?.unsold().into_iter().flatten().count();
            counts.add_seats(stock, for_sale);
            Some(counts)
        };
        timeout(READ_WITHIN, counts).await.ok().flatten()
    }
}

/// The same counts under at most [`LABELLED_MAX`] names and [`OTHERS`].
fn bounded(mut rows: Vec<(String, SaleCounts)>) -> Vec<(String, SaleCounts)> {
    let others = rows.split_off(rows.len().min(LABELLED_MAX));
    if !others.is_empty() {
        let total = others.into_iter().fold(SaleCounts::default(), |total, (_, counts)| total.plus(counts));
        rows.push((OTHERS.to_owned(), total));
    }
    rows
}

impl SaleCounts {
    fn add_queue(&mut self, queue: &QueueSnapshot, now: Timestamp) {
        let live = |until: &&Timestamp| **until > now;
        self.waiting = queue.lanes.iter().map(LaneSnapshot::waiting).sum();
        self.called = queue.called.values().filter(live).count() as u64;
        self.active = queue.active.values().filter(live).count() as u64;
        let flow = queue.flow;
        (self.joined, self.accepted, self.no_shows) = (flow.joined, flow.accepted, flow.no_shows);
        (self.left, self.abandoned, self.used, self.expired) = (flow.left, flow.abandoned, flow.used, flow.expired);
    }

    fn add_seats(&mut self, stock: SeatStock, for_sale: usize) {
        (self.free, self.held) = (stock.free.into(), stock.held.into());
        self.sold_or_blocked = (for_sale as u64).saturating_sub(self.free + self.held);
    }

    fn plus(self, other: Self) -> Self {
        Self {
            waiting: self.waiting + other.waiting,
            called: self.called + other.called,
            active: self.active + other.active,
            max_active: self.max_active + other.max_active,
            joined: self.joined + other.joined,
            accepted: self.accepted + other.accepted,
            no_shows: self.no_shows + other.no_shows,
            left: self.left + other.left,
            abandoned: self.abandoned + other.abandoned,
            used: self.used + other.used,
            expired: self.expired + other.expired,
            free: self.free + other.free,
            held: self.held + other.held,
            sold_or_blocked: self.sold_or_blocked + other.sold_or_blocked,
        }
    }
}

impl SalesRead {
    /// Sets the gauges.
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float, and exact to 2^53")]
    pub(super) fn set(&self) {
        gauge!("encore_sales_open").set(self.open as f64);
        gauge!("encore_sales_unread").set(self.unread as f64);
        for (performance, counts) in &self.rows {
            let of_queue = [
                ("encore_queue_waiting", counts.waiting),
                ("encore_queue_called", counts.called),
                ("encore_queue_active", counts.active),
                ("encore_queue_max_active", counts.max_active),
                ("encore_queue_joined", counts.joined),
                ("encore_queue_accepted", counts.accepted),
                ("encore_queue_no_shows", counts.no_shows),
            ];
            for (name, value) in of_queue {
                gauge!(name, "performance" => performance.clone()).set(value as f64);
            }
            let ended = [
                ("left", counts.left),
                ("abandoned", counts.abandoned),
                ("used", counts.used),
                ("expired", counts.expired),
            ];
            for (reason, value) in ended {
                gauge!("encore_queue_ended", "performance" => performance.clone(), "reason" => reason)
                    .set(value as f64);
            }
            let seats = [("free", counts.free), ("held", counts.held), ("sold_or_blocked", counts.sold_or_blocked)];
            for (state, value) in seats {
                gauge!("encore_seats", "performance" => performance.clone(), "state" => state).set(value as f64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sales_beyond_the_limit_are_added_up() {
        let counts = SaleCounts { waiting: 1, free: 2, ..SaleCounts::default() };
        let sales = |count: usize| (0..count).map(|sale| (sale.to_string(), counts)).collect::<Vec<_>>();
        assert_eq!(bounded(sales(LABELLED_MAX)).len(), LABELLED_MAX, "all have labels of their own");
        let rows = bounded(sales(LABELLED_MAX + 3));
        assert_eq!(rows.len(), LABELLED_MAX + 1);
        let others = SaleCounts { waiting: 3, free: 6, ..SaleCounts::default() };
        assert_eq!(rows.last(), Some(&(OTHERS.to_owned(), others)));
    }
}
