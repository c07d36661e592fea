//! Reading the whole seat map, and then watching it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use encore_proto::catalog::v1::ListSeatsRequest;
use tokio::time::Instant;

use crate::baselines::Kind;
use crate::load::Outcome;
use crate::load::tally::to_f64;
use crate::operator::Terms;
use crate::report::model::Figure;
use crate::scenario::{Findings, RehearsalError, Run};
use crate::scenarios::callers::Callers;
use crate::scenarios::map_watchers;
use crate::scenarios::single_call::{Variant, before_pace, callers as closed_loop, compare, pace};
use crate::venue::Venue;

/// How many readers there are by default.
const READERS: u64 = 1_000;
/// The most seats in a reply: venues up to this size are read in one call.
const PAGE_SIZE: u32 = 10_000;
const CALL: &str = "ListSeats";

pub(crate) async fn run(run: &Run<'_>) -> Result<Findings, RehearsalError> {
    let venue = Venue::of(run.args.users.seats.min(PAGE_SIZE));
    run.live.phase(&format!("a map of {} seats", venue.seats()));
    let terms = Terms { seats_per_fan: 2, hold_for: Duration::from_mins(5), queue: None };
    let sale = run.environment.operator.put_on_sale(venue, &terms, 1);
    let performances = sale.await.map_err(RehearsalError::setup("the sale"))?;
    let callers = Callers::make(run, run.fans(READERS)).await?;
    let message = ListSeatsRequest {
        performance_id: performances[0].clone(),
        page_size: PAGE_SIZE,
        ..ListSeatsRequest::default()
    };
    let bytes = Arc::new(AtomicU64::new(0));
    let (readers, read) = (callers.clone(), Arc::clone(&bytes));
    let reading = move |number| {
        let (caller, message, read) = (readers.turn(number).clone(), message.clone(), Arc::clone(&read));
        async move {
            let map = caller.seats(message).await;
            if let Ok(map) = &map {
                let len = prost::Message::encoded_len(map);
                read.store(u64::try_from(len).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
            Outcome::of(&map)
        }
    };
    let variant = Variant::saturated(CALL, &[Kind::Transport], {
        let reading = reading.clone();
        Box::new(move |lasts| {
            let reading = reading.clone();
            Box::pin(async move { Ok(run.load.closed_loop(closed_loop(run, lasts, u64::MAX), reading).await) })
        })
    });
    // The other half of the time is for those who watch.
    let left = before_pace(run).saturating_duration_since(Instant::now());
    let mut compared = compare(run, vec![variant], Instant::now() + left / 2).await;
    let paced = pace(run, CALL, compared.measurements.first(), u64::MAX, reading).await;
    compared.measurements.extend(paced);
    let kib = to_f64(bytes.load(Ordering::Relaxed)) / 1_024.0;
    let figures = vec![Figure::new("size of a map", kib, "KiB")];
    let mut findings = Findings { figures, performances, ..Findings::of(compared) };
    map_watchers::run(run, &mut findings).await?;
    Ok(findings)
}
