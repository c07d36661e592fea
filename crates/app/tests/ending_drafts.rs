//! Calls that end a draft and are overtaken by another: between the look at the draft and the change, the other call ends it.

use std::sync::Arc;

use encore_app::admin::AdminUseCases;
use encore_app::contexts::PerformanceContexts;
use encore_app::drafts::{DraftParts, DraftUseCases};
use encore_app::error::AppError;
use encore_domain::audit_log::StaffCall;
use encore_domain::catalog::draft::{Draft, DraftRefusal, DraftState};
use encore_domain::error::PortError;
use encore_domain::identity::{Caller, Role};
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{MockCatalog, MockClock, MockDrafts, MockIds};
use encore_port_tests::fixtures::{self, id, start};

/// Use cases on a draft that is open at the first look, and then ended in this way by another call. Returns its id as well.
fn overtaken_by(end: DraftState) -> (DraftUseCases, PerformanceId) {
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    let performance = fixtures::performance(concert.id, venue.id);
    let draft = Draft { performance, queue: None, state: DraftState::Open };
    let (id_of_draft, ended) = (draft.performance.id, Draft { state: end, ..draft.clone() });
    let mut drafts = MockDrafts::new();
    drafts.expect_find().times(1).return_once(|_| Ok(Some(draft)));
    drafts.expect_find().returning(move |_| Ok(Some(ended.clone())));
    drafts.expect_publish().times(..=1).returning(move |_, _, _| Err(PortError::Refused(DraftRefusal::Ended(end))));
    drafts.expect_withdraw().times(..=1).returning(move |_, _| Err(PortError::Refused(DraftRefusal::Ended(end))));
    let mut catalog = MockCatalog::new();
    catalog.expect_concert().returning(move |_| Ok(Some(concert.clone())));
    catalog.expect_venue().returning(move |_| Ok(Some(venue.clone())));
    let (mut clock, mut ids) = (MockClock::new(), MockIds::new());
    clock.expect_now().returning(start);
    ids.expect_next().returning(id);
    let (catalog, clock, ids) = (Arc::new(catalog), Arc::new(clock), Arc::new(ids));
    let contexts = PerformanceContexts::new(catalog.clone());
    let admin = AdminUseCases::new(catalog, contexts.clone(), clock.clone(), ids.clone());
    (DraftUseCases::new(DraftParts { drafts: Arc::new(drafts), admin, contexts, clock, ids }), id_of_draft)
}

fn call() -> StaffCall {
    StaffCall { caller: Caller { user: id(), role: Role::Operator }, rpc: "DraftService.Test", request: None }
}

#[tokio::test]
async fn the_loser_of_two_publications_gets_the_result_of_the_winner() {
    let (drafts, id) = overtaken_by(DraftState::Published);
    let published = drafts.publish(id, &[], call()).await.expect("the result of the other call");
    assert_eq!((published.draft.performance.id, published.draft.state), (id, DraftState::Published));
}

#[tokio::test]
async fn the_loser_of_two_withdrawals_gets_the_result_of_the_winner() {
    let (drafts, id) = overtaken_by(DraftState::Withdrawn);
    let withdrawn = drafts.withdraw(id, call()).await.expect("the result of the other call");
    assert_eq!((withdrawn.draft.performance.id, withdrawn.draft.state), (id, DraftState::Withdrawn));
}

#[tokio::test]
async fn who_loses_to_the_opposite_is_refused() {
    let (drafts, id) = overtaken_by(DraftState::Withdrawn);
    let refused = drafts.publish(id, &[], call()).await.expect_err("it is withdrawn");
    assert!(matches!(refused, AppError::DraftEnded(DraftState::Withdrawn)), "{refused:?}");
    let (drafts, id) = overtaken_by(DraftState::Published);
    let refused = drafts.withdraw(id, call()).await.expect_err("it is published");
    assert!(matches!(refused, AppError::DraftEnded(DraftState::Published)), "{refused:?}");
}
