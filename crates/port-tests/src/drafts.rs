//! The cases of [`Drafts`](encore_domain::ports::Drafts).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::audit_log::{AuditEntry, AuditFilter, StaffAct};
use encore_domain::catalog::Performance;
use encore_domain::catalog::draft::{Draft, DraftQueue, DraftRefusal, DraftState};
use encore_domain::catalog::listing::{PerformanceFilter, PerformanceOrder};
use encore_domain::error::PortError;
use encore_domain::event::{Event, StaffCause};
use encore_domain::ids::PerformanceId;
use encore_domain::page::PageRequest;
use encore_domain::queue::{DRAW_KEY_BYTES, DrawKey, Queue, QueueDraw};
use uuid::Uuid;

use crate::RecordBench;
use crate::answers::{assert_reused, made, refused, repeated};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{act, altered, at_secs, concert, id, performance, queue_settings, request, small_chart, venue};
use crate::paging::{SIZES, read_all};

/// Stamps the cases of the port `Drafts`.
#[macro_export]
macro_rules! drafts {
    ($($with:tt)+) => {
        $crate::suite! { drafts [
            keeps_a_draft,
            repeats_an_add,
            lists_open_drafts,
            changes_a_draft,
            notes_no_change_to_the_same,
            publishes_a_draft,
            publishes_only_what_was_looked_at,
            withdraws_a_draft,
            changes_only_open_drafts,
            publishes_once_under_contention,
        ] $($with)+ }
    };
}

/// An act of somebody.
fn some_act() -> StaffAct {
    act(request(id()))
}

fn of_concert(draft: &Draft) -> PerformanceFilter {
    PerformanceFilter::of_concert(draft.performance.concert)
}

fn draw() -> QueueDraw {
    QueueDraw { pre_queue_opens_at: at_secs(1), key: DrawKey([3; DRAW_KEY_BYTES]) }
}

impl RecordBench {
    /// A draft of a performance with a queue and a pre-queue.
    async fn plan(&self) -> Draft {
        let place = made(self.catalog.add_venue(venue(small_chart()), None).await);
        let show = made(self.catalog.add_concert(concert(), None).await);
        let queue = DraftQueue { settings: queue_settings(), pre_queue_opens_at: Some(at_secs(1)) };
        let performance = Performance { has_queue: true, ..performance(show.id, place.id) };
        Draft { performance, queue: Some(queue), state: DraftState::Open }
    }

    async fn draft(&self) -> Draft {
        let draft = self.plan().await;
        made(self.drafts.add(draft, some_act()).await)
    }

    async fn stored_draft(&self, id: PerformanceId) -> Option<Draft> {
        self.drafts.find(id).await.expect("the store answers")
    }

    async fn published(&self, id: PerformanceId) -> Option<Performance> {
        self.catalog.performance(id).await.expect("the store answers")
    }

    async fn newest_entry(&self) -> AuditEntry {
        let page = self.audit_log.list(&AuditFilter::default(), PageRequest::first(1)).await;
        page.expect("the store answers").items.remove(0)
    }
}

pub async fn keeps_a_draft(bench: RecordBench) {
    let with_queue = bench.plan().await;
    let without = Performance { id: id(), has_queue: false, ..with_queue.performance.clone() };
    let without = Draft { performance: without, queue: None, state: DraftState::Open };
    for draft in [with_queue, without] {
        let id = draft.performance.id;
        assert_eq!(bench.stored_draft(id).await, None);
        assert_eq!(made(bench.drafts.add(draft.clone(), some_act()).await), draft);
        assert_eq!(bench.stored_draft(id).await.as_ref(), Some(&draft));
        assert_eq!(bench.published(id).await, None);
        assert_eq!(bench.catalog.queue(id).await.expect("the store answers"), None);
        let listed =
            bench.catalog.performances(&of_concert(&draft), PerformanceOrder::Start, PageRequest::first(9)).await;
        assert_eq!(listed.expect("the store answers").items, []);
    }
}

pub async fn repeats_an_add(bench: RecordBench) {
    let (first, again) = (bench.plan().await, bench.plan().await);
    let request = request(id());
    let find = async || bench.drafts.find_added(request).await.expect("the store answers");
    assert_eq!(find().await, None);
    made(bench.drafts.add(first.clone(), act(request)).await);
    assert_eq!(repeated(bench.drafts.add(again.clone(), act(request)).await), first);
    assert_reused(&bench.drafts.add(again.clone(), act(altered(request))).await);
    assert_eq!(find().await, Some(first));
    assert_eq!(bench.stored_draft(again.performance.id).await, None);
}

pub async fn lists_open_drafts(bench: RecordBench) {
    let mut open = Vec::new();
    for index in 0..8 {
        let draft = bench.draft().await;
        match index {
            2 => bench.drafts.publish(&draft, Some(draw()), some_act()).await.expect("published"),
            5 => bench.drafts.withdraw(draft.performance.id, some_act()).await.expect("withdrawn"),
            _ => open.push(draft),
        }
    }
    open.sort_by_key(|draft| draft.performance.id);
    for size in SIZES {
        assert_eq!(read_all(size, |page| bench.drafts.open(page)).await, open, "{size} in a page");
    }
}

pub async fn changes_a_draft(bench: RecordBench) {
    let draft = bench.draft().await;
    let performance = Performance { seats_per_fan: 3, has_queue: false, ..draft.performance.clone() };
    let changed = Draft { performance, queue: None, ..draft.clone() };
    let act = StaffAct { at: at_secs(9), ..some_act() };
    bench.drafts.change(changed.clone(), act.clone()).await.expect("it is open");
    assert_eq!(bench.stored_draft(draft.performance.id).await, Some(changed));
    let entry = bench.newest_entry().await;
    assert_eq!((entry.id, entry.target.id()), (act.id, draft.performance.id.0));
    let limit = entry.changes.iter().find(|change| change.field == "seats_per_fan").expect("it changed");
    assert_eq!(limit.after.as_deref(), Some("3"));
    assert!(entry.changes.iter().any(|change| change.field == "max_active" && change.after.is_none()));
}

pub async fn notes_no_change_to_the_same(bench: RecordBench) {
    let draft = bench.draft().await;
    let newest = bench.newest_entry().await;
    for seconds in [8, 9] {
        let act = StaffAct { at: at_secs(seconds), ..some_act() };
        bench.drafts.change(draft.clone(), act).await.expect("it is open");
    }
    assert_eq!(bench.newest_entry().await, newest, "it was added, and nothing else happened");
    assert_eq!(bench.stored_draft(draft.performance.id).await, Some(draft));
}

pub async fn publishes_a_draft(bench: RecordBench) {
    let draft = bench.draft().await;
    let act = StaffAct { at: at_secs(9), ..some_act() };
    bench.drafts.publish(&draft, Some(draw()), act.clone()).await.expect("it is open");
    let id = draft.performance.id;
    assert_eq!(bench.published(id).await.as_ref(), Some(&draft.performance));
    let queue = Some(Queue { settings: queue_settings(), draw: Some(draw()) });
    assert_eq!(bench.catalog.queue(id).await.expect("the store answers"), queue);
    let listed = bench.catalog.performances(&of_concert(&draft), PerformanceOrder::Start, PageRequest::first(9)).await;
    assert_eq!(listed.expect("the store answers").items, std::slice::from_ref(&draft.performance));
    assert_eq!(bench.stored_draft(id).await, Some(Draft { state: DraftState::Published, ..draft }));
    let entry = bench.newest_entry().await;
    assert_eq!(entry.id, act.id);
    let opening = entry.changes.iter().find(|change| change.field == "pre_queue_opens_at").expect("it is noted");
    assert_eq!((opening.before.as_deref(), opening.after.as_deref()), (None, Some("2026-06-01T10:00:01Z")));
    let event = Event::PerformancePublished {
        performance: bench.published(id).await.expect("it is published"),
        pre_queue_opens_at: Some(at_secs(1)),
        cause: StaffCause::from(&act),
    };
    assert_eq!(bench.read_events().await, [event]);
}

pub async fn publishes_only_what_was_looked_at(bench: RecordBench) {
    let draft = bench.draft().await;
    let performance = Performance { seats_per_fan: 3, ..draft.performance.clone() };
    let changed = Draft { performance, ..draft.clone() };
    bench.drafts.change(changed.clone(), some_act()).await.expect("it is open");
    let publishing = bench.drafts.publish(&draft, Some(draw()), some_act()).await;
    assert_eq!(refused(publishing), DraftRefusal::Changed);
    assert_eq!(bench.published(draft.performance.id).await, None);
    assert_eq!(bench.read_events().await, []);
    assert_eq!(bench.stored_draft(draft.performance.id).await, Some(changed));
}

pub async fn withdraws_a_draft(bench: RecordBench) {
    let draft = bench.draft().await;
    let (id, act) = (draft.performance.id, StaffAct { at: at_secs(9), ..some_act() });
    bench.drafts.withdraw(id, act.clone()).await.expect("it is open");
    assert_eq!(bench.stored_draft(id).await, Some(Draft { state: DraftState::Withdrawn, ..draft }));
    assert_eq!(bench.published(id).await, None);
    assert_eq!(bench.newest_entry().await.id, act.id);
}

pub async fn changes_only_open_drafts(bench: RecordBench) {
    let (published, withdrawn, unknown) = (bench.draft().await, bench.draft().await, bench.plan().await);
    bench.drafts.publish(&published, Some(draw()), some_act()).await.expect("it is open");
    bench.drafts.withdraw(withdrawn.performance.id, some_act()).await.expect("it is open");
    for (draft, refusal) in [
        (&published, DraftRefusal::Ended(DraftState::Published)),
        (&withdrawn, DraftRefusal::Ended(DraftState::Withdrawn)),
        (&unknown, DraftRefusal::Unknown(unknown.performance.id)),
    ] {
        assert_eq!(refused(bench.drafts.change(draft.clone(), some_act()).await), refusal);
        assert_eq!(refused(bench.drafts.publish(draft, Some(draw()), some_act()).await), refusal);
        assert_eq!(refused(bench.drafts.withdraw(draft.performance.id, some_act()).await), refusal);
    }
    assert_eq!(bench.published(withdrawn.performance.id).await, None);
}

pub async fn publishes_once_under_contention(bench: RecordBench) {
    let draft = bench.draft().await;
    let publish = |_| {
        let (drafts, draft) = (Arc::clone(&bench.drafts), draft.clone());
        async move { drafts.publish(&draft, Some(draw()), some_act()).await }
    };
    let outcomes = at_once((0..TWENTY).map(publish)).await;
    let published = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(published, 1, "{outcomes:?}");
    let ended = |outcome: &Result<(), PortError<DraftRefusal>>| {
        matches!(outcome, Ok(()) | Err(PortError::Refused(DraftRefusal::Ended(DraftState::Published))))
    };
    assert!(outcomes.iter().all(ended), "{outcomes:?}");
    let target: Option<Uuid> = Some(draft.performance.id.0);
    let filter = AuditFilter { target, ..AuditFilter::default() };
    let entries = read_all(100, |page| bench.audit_log.list(&filter, page)).await;
    assert_eq!(entries.len(), 2, "it was added, and published once");
}
