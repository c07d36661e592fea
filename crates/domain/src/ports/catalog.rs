use std::convert::Infallible;

use async_trait::async_trait;

use crate::audit_log::StaffAct;
use crate::catalog::listing::{
    ConcertCursor, ConcertFilter, ConcertOrder, ListedVenue, PerformanceCursor, PerformanceFilter, PerformanceOrder,
    VenueCursor, VenueFilter,
};
use crate::catalog::performance_change::ChangeCursor;
use crate::catalog::{Concert, OnSale, Performance, Venue};
use crate::error::{RequestError, Unavailable};
use crate::event::QueueOpening;
use crate::ids::{ConcertId, PerformanceId, VenueId};
use crate::page::{Page, PageRequest};
use crate::payment::refund::OperatorReason;
use crate::queue::{PatchRefusal, Queue, QueuePatch, QueueSettings};
use crate::request::{Applied, RequestKey};
use crate::time::Timestamp;

/// Stores venues, concerts, performances and the settings of their queues. Venues and concerts do not change after they are added.
/// [`PerformanceChanges`](crate::ports::PerformanceChanges) changes performances.
///
/// Whoever adds or changes something hands in the act, which has the request and is noted in the audit log. Without an act there is
/// neither an entry nor an event.
///
/// # Contract
/// - `keeps_a_venue`: it is read back as it was added, with its location, chart, slots, general admission areas, focal points and
///   drawing; and without its chart
/// - `keeps_a_large_venue`: 60,000 seats
/// - `keeps_a_concert`, `keeps_a_performance`: they are read back as they were added, with grades that have no price and with dates
///   from year 1 to year 9999
/// - `finds_nothing`: an unknown id is `None`, and left out of [`Catalog::performances_by_id`]
/// - `pages_concerts`: in the order of their ids, each once, in pages of any size
/// - `pages_performances`: those of one concert, by start and then by id, each once, in pages of any size
/// - `starts_a_page_of_performances_anywhere`: after any start and id, also those that no performance has
/// - `repeats_an_add`: the same request returns [`Applied::Before`] with the first value and adds nothing
/// - `finds_an_add_by_its_request`: [`Catalog::find_added_venue`] and [`Catalog::find_added_performance`] return what a repeat would;
///   `None` if the request added nothing
/// - `refuses_a_reused_request`: the same request id with another fingerprint is [`RequestError::Reused`], for the methods that find
///   by request too
/// - `finds_concerts_by_words`: [`Search::finds`](crate::catalog::search::Search::finds) says which, in the same order and pages
/// - `finds_performances`: [`PerformanceFilter::wants`] says which, in the same order and pages
/// - `finds_concerts_by_location`: those with a performance at such a location that starts at that moment or later, and was not withdrawn
/// - `finds_performances_by_location`: so for city and country; none at a venue whose location is not known
/// - `orders_concerts_by_title`, `orders_performances`: in the order of [`ConcertOrder::cursor`] and [`PerformanceOrder::cursor`], each
///   once, in pages of any size
/// - `lists_venues`: those with a performance that was not withdrawn, by name and then by id, each once, in pages of any size
/// - `finds_venues`: by words of name and city, by city, by country, and by a performance that starts at that moment or later
/// - `patches_a_queue`: fields that the patch does not set keep their values; the returned settings are those that are read back
/// - `repeats_a_queue_patch`: returns the settings as the first call left them, even if they were changed since, and changes
///   nothing. [`Catalog::find_patched`] returns the same; `None` if the request changed nothing
/// - `refuses_to_patch_without_a_queue`: [`PatchRefusal::NoQueue`]
/// - `refuses_to_move_lanes`: [`PatchRefusal::LanesMoved`], and nothing changes
/// - `finds_a_queue`: with its settings, lanes and draw; `None` where there is none
/// - `lists_what_is_on_sale`: the performances whose sale is open at `now`, with their queues
/// - `lists_queues_with_an_open_pre_queue`: and those whose sale opens later, from when their pre-queue opens
/// - `writes_an_event_of_a_performance`: one that an act adds, with it and when its pre-queue opens; none of a repeat
/// - `writes_events_of_a_queue`: one of each [`QueueChange`](crate::event::QueueChange) that an act makes; none of a repeat, a refusal, or
///   a patch that changes nothing
/// - `notes_an_opening_once`: of twenty concurrent calls for one queue, one notes it, with one event; the audit finds nothing wrong
/// - `notes_a_cancellation_once`: so for a performance that is cancelled, with one entry in the audit log
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Adds a venue with its chart, atomically.
    async fn add_venue(&self, venue: Venue, act: Option<StaffAct>) -> Result<Applied<Venue>, RequestError<Infallible>>;

    /// Adds a concert.
    async fn add_concert(
        &self,
        concert: Concert,
        act: Option<StaffAct>,
    ) -> Result<Applied<Concert>, RequestError<Infallible>>;

    /// Adds a performance of a known concert at a known venue, with its queue if it has one (`performance.has_queue`
    /// says the same).
    async fn add_performance(
        &self,
        performance: Performance,
        queue: Option<Queue>,
        act: Option<StaffAct>,
    ) -> Result<Applied<Performance>, RequestError<Infallible>>;

    /// Changes the settings of a queue.
    async fn patch_queue(
        &self,
        performance: PerformanceId,
        patch: QueuePatch,
        act: Option<StaffAct>,
    ) -> Result<Applied<QueueSettings>, RequestError<PatchRefusal>>;

    /// Notes that a queue has opened, with its event, unless that is noted. Returns whether this call noted it. The performance exists.
    async fn note_opening(&self, opening: QueueOpening) -> Result<bool, Unavailable>;

    /// Notes that a performance is cancelled, with its event and its entry in the audit log, unless that is noted. Returns whether this
    /// call noted it. The performance exists.
    async fn note_cancellation(
        &self,
        performance: PerformanceId,
        reason: OperatorReason,
        act: StaffAct,
    ) -> Result<bool, Unavailable>;

    /// The venue that an earlier request added.
    async fn find_added_venue(&self, request: RequestKey) -> Result<Option<Venue>, RequestError<Infallible>>;

    /// The performance that an earlier request added.
    async fn find_added_performance(
        &self,
        request: RequestKey,
    ) -> Result<Option<Performance>, RequestError<Infallible>>;

    /// The settings of a queue as an earlier request left them.
    async fn find_patched(&self, request: RequestKey) -> Result<Option<QueueSettings>, RequestError<Infallible>>;

    /// The venue of this id, with its chart.
    async fn venue(&self, id: VenueId) -> Result<Option<Venue>, Unavailable>;

    /// The venue of this id, without its chart.
    async fn listed_venue(&self, id: VenueId) -> Result<Option<ListedVenue>, Unavailable>;

    /// The concert of this id.
    async fn concert(&self, id: ConcertId) -> Result<Option<Concert>, Unavailable>;

    /// The concerts of these ids that exist, in any order, in one query.
    async fn concerts_by_id(&self, ids: &[ConcertId]) -> Result<Vec<Concert>, Unavailable>;

    /// The concerts that are wanted.
    async fn concerts(
        &self,
        filter: &ConcertFilter,
        order: ConcertOrder,
        page: PageRequest<ConcertCursor>,
    ) -> Result<Page<Concert, ConcertCursor>, Unavailable>;

    /// The venues that are wanted, by name, without their charts.
    async fn venues(
        &self,
        filter: &VenueFilter,
        page: PageRequest<VenueCursor>,
    ) -> Result<Page<ListedVenue, VenueCursor>, Unavailable>;

    /// The performance of this id.
    async fn performance(&self, id: PerformanceId) -> Result<Option<Performance>, Unavailable>;

    /// The performances of these ids that exist, in any order, in one query.
    async fn performances_by_id(&self, ids: &[PerformanceId]) -> Result<Vec<Performance>, Unavailable>;

    /// The performances that were changed at or after a moment, by when they were changed last and then by id.
    async fn changed_performances(
        &self,
        since: Timestamp,
        page: PageRequest<ChangeCursor>,
    ) -> Result<Page<Performance, ChangeCursor>, Unavailable>;

    /// The performances that are wanted.
    async fn performances(
        &self,
        filter: &PerformanceFilter,
        order: PerformanceOrder,
        page: PageRequest<PerformanceCursor>,
    ) -> Result<Page<Performance, PerformanceCursor>, Unavailable>;

    /// The queue of a performance.
    async fn queue(&self, performance: PerformanceId) -> Result<Option<Queue>, Unavailable>;

    /// The performances that are on sale at `now`, or whose pre-queue is open.
    async fn on_sale(&self, now: Timestamp) -> Result<Vec<OnSale>, Unavailable>;
}
