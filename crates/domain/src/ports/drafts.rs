use std::convert::Infallible;

use async_trait::async_trait;

use crate::audit_log::StaffAct;
use crate::catalog::draft::{Draft, DraftRefusal};
use crate::error::{PortError, RequestError, Unavailable};
use crate::ids::PerformanceId;
use crate::page::{Page, PageRequest};
use crate::queue::QueueDraw;
use crate::request::{Applied, RequestKey};

/// Keeps performances that are planned. Nobody but those who plan sees them: [`Catalog`](crate::ports::Catalog) does not have them
/// before they are published. Every change is noted in the audit log.
///
/// # Contract
/// - `keeps_a_draft`: it is read back as it was added, with its queue; the catalogue does not have it
/// - `repeats_an_add`: the same request returns [`Applied::Before`] with the first draft and adds nothing, and
///   [`Drafts::find_added`] finds it
/// - `lists_open_drafts`: by id, each once, in pages of any size; not those that were published or withdrawn
/// - `changes_a_draft`: everything but its id; the audit log says what
/// - `notes_no_change_to_the_same`: a draft that is replaced by itself stays as it is, and the audit log gets no entry
/// - `publishes_a_draft`: the catalogue has the performance and its queue, with the draw, and the outbox its event, in the same step
/// - `publishes_only_what_was_looked_at`: [`DraftRefusal::Changed`] otherwise, and the catalogue does not have it
/// - `withdraws_a_draft`
/// - `changes_only_open_drafts`: [`DraftRefusal::Ended`] for those that were published or withdrawn, and [`DraftRefusal::Unknown`]
/// - `publishes_once_under_contention`: of twenty concurrent calls, one
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Drafts: Send + Sync {
    /// Adds a draft for a known concert and venue.
    async fn add(&self, draft: Draft, act: StaffAct) -> Result<Applied<Draft>, RequestError<Infallible>>;

    /// The draft that an earlier request added, as it is now.
    async fn find_added(&self, request: RequestKey) -> Result<Option<Draft>, RequestError<Infallible>>;

    /// The draft of this id, whatever its state.
    async fn find(&self, id: PerformanceId) -> Result<Option<Draft>, Unavailable>;

    /// The open drafts, by id.
    async fn open(&self, page: PageRequest<PerformanceId>) -> Result<Page<Draft, PerformanceId>, Unavailable>;

    /// Replaces an open draft.
    async fn change(&self, draft: Draft, act: StaffAct) -> Result<(), PortError<DraftRefusal>>;

    /// Makes an open draft a performance. It must be as the caller looked at it.
    async fn publish(
        &self,
        looked_at: &Draft,
        draw: Option<QueueDraw>,
        act: StaffAct,
    ) -> Result<(), PortError<DraftRefusal>>;

    /// Gives up an open draft.
    async fn withdraw(&self, id: PerformanceId, act: StaffAct) -> Result<(), PortError<DraftRefusal>>;
}
