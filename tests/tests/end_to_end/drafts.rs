//! Performances are planned as drafts, which nobody sees but those who plan.

use std::time::Duration;

use encore_domain::identity::Role;
use encore_domain::time::Timestamp;
use encore_port_tests::fixtures;
use encore_proto::admin::v1 as pb;
use encore_proto::admin::v1::draft_service_client::DraftServiceClient;
use encore_proto::catalog::v1 as catalog;
use encore_proto::common::v1::Money;
use encore_proto::queue::v1 as queue;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::world::World;
use tonic::{Code, Status};
use tonic_types::StatusExt;

struct Plan {
    world: World,
    operator: Fan,
    terms: pb::DraftTerms,
}

fn in_proto(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: at.timestamp(), nanos: 0 }
}

fn price(grade: &str, amount_minor: i64) -> catalog::GradePrice {
    let price = Some(Money { amount_minor, currency_code: "EUR".into() });
    catalog::GradePrice { grade: grade.into(), price }
}

impl Plan {
    async fn new(world: World) -> Self {
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        let (operator, now) = (world.operator().await, world.now());
        let terms = pb::DraftTerms {
            concert_id: concert.id.to_string(),
            venue_id: venue.id.to_string(),
            starts_at: Some(in_proto(now + Duration::from_hours(24))),
            on_sale_opens_at: Some(in_proto(now)),
            on_sale_closes_at: Some(in_proto(now + Duration::from_hours(23))),
            prices: vec![price("Front", 5_000)],
            ..pb::DraftTerms::default()
        };
        world.ports.catalog.add_venue(venue, None).await.expect("a new venue");
        world.ports.catalog.add_concert(concert, None).await.expect("a new concert");
        Self { world, operator, terms }
    }

    fn client(by: &Fan) -> DraftServiceClient<tonic::transport::Channel> {
        DraftServiceClient::new(by.channel.clone())
    }

    async fn create(&self, request: &str, terms: pb::DraftTerms) -> Result<pb::Draft, Status> {
        let message = pb::CreateDraftRequest { request_id: request.into(), terms: Some(terms) };
        let created = Self::client(&self.operator).create_draft(self.operator.request(message)).await?;
        Ok(created.into_inner().draft.expect("a draft"))
    }

    async fn change(&self, id: &str, terms: pb::DraftTerms) -> Result<pb::Draft, Status> {
        let message = pb::ChangeDraftRequest { draft_id: id.into(), terms: Some(terms) };
        let changed = Self::client(&self.operator).change_draft(self.operator.request(message)).await?;
        Ok(changed.into_inner().draft.expect("a draft"))
    }

    async fn publish(&self, id: &str, not_for_sale: &[&str]) -> Result<pb::Draft, Status> {
        let grades_not_for_sale = not_for_sale.iter().map(|&name| name.to_owned()).collect();
        let message = pb::PublishDraftRequest { draft_id: id.into(), grades_not_for_sale };
        let published = Self::client(&self.operator).publish_draft(self.operator.request(message)).await?;
        Ok(published.into_inner().draft.expect("a draft"))
    }

    async fn withdraw(&self, id: &str) -> Result<pb::Draft, Status> {
        let message = pb::WithdrawDraftRequest { draft_id: id.into() };
        let withdrawn = Self::client(&self.operator).withdraw_draft(self.operator.request(message)).await?;
        Ok(withdrawn.into_inner().draft.expect("a draft"))
    }

    async fn listed(&self, by: &Fan) -> Vec<String> {
        let drafts = Self::client(by).list_drafts(by.request(pb::ListDraftsRequest::default())).await;
        drafts.expect("drafts").into_inner().drafts.iter().map(id_of).collect()
    }

    /// What the fan is told of a performance, by every RPC that takes its id.
    async fn told(&self, fan: &Fan, id: &str) -> Vec<String> {
        let told = |result: Result<(), Status>| result.map_or_else(|refused| reason(&refused), |()| "told".to_owned());
        let performance_id = id.to_owned();
        let chart = catalog::GetSeatChartRequest { performance_id: performance_id.clone(), ..Default::default() };
        let seats = catalog::ListSeatsRequest { performance_id: performance_id.clone(), ..Default::default() };
        let watch = catalog::WatchSeatsRequest { performance_id: performance_id.clone(), ..Default::default() };
        let join = queue::JoinQueueRequest {
            request_id: request_id(),
            performance_id: performance_id.clone(),
            ..Default::default()
        };
        let draw = queue::GetDrawRequest { performance_id };
        vec![
            told(fan.catalog().get_seat_chart(fan.request(chart)).await.map(drop)),
            told(fan.catalog().list_seats(fan.request(seats)).await.map(drop)),
            told(fan.catalog().watch_seats(fan.request(watch)).await.map(drop)),
            told(fan.queue().join_queue(fan.request(join)).await.map(drop)),
            told(fan.queue().get_draw(fan.request(draw)).await.map(drop)),
            told(fan.hold(id.parse().expect("an id"), &["S-A-1"]).await.map(drop)),
        ]
    }

    async fn listed_to_fans(&self, fan: &Fan) -> Vec<String> {
        let message =
            catalog::ListPerformancesRequest { concert_id: self.terms.concert_id.clone(), ..Default::default() };
        let listed = fan.catalog().list_performances(fan.request(message)).await.expect("performances").into_inner();
        listed.performances.into_iter().map(|performance| performance.performance_id).collect()
    }
}

fn id_of(draft: &pb::Draft) -> String {
    draft.performance.as_ref().expect("a performance").performance_id.clone()
}

/// The type and the subject of something for which a draft cannot be published.
fn obstacle(kind: &str, subject: &str) -> (String, String) {
    (kind.to_owned(), subject.to_owned())
}

/// What a refusal names as obstacles.
fn obstacles(refused: &Status) -> Vec<(String, String)> {
    let details = refused.get_details_precondition_failure().expect("obstacles").violations;
    details.into_iter().map(|violation| (violation.r#type, violation.subject)).collect()
}

async fn a_draft_is_seen_by_fans_once_it_is_published(world: World, instances: usize) {
    let plan = Plan::new(world).await;
    let (fan, auditor) = (plan.world.fan(instances - 1).await, plan.world.user(0, Role::Auditor).await);
    let request = request_id();
    let draft = plan.create(&request, plan.terms.clone()).await.expect("a draft");
    assert_eq!(plan.create(&request, plan.terms.clone()).await.expect("the first"), draft);
    let id = id_of(&draft);
    assert_eq!(draft.state(), pb::DraftState::Open);
    assert_eq!(draft.performance.as_ref().map(|it| (it.seats_total, it.seats_left)), Some((26, 11)));
    assert_eq!(plan.told(&fan, &id).await, ["NOT_FOUND"; 6]);
    assert_eq!(plan.listed_to_fans(&fan).await, [""; 0]);
    assert_eq!(plan.listed(&auditor).await, std::slice::from_ref(&id));
    let refused = Plan::client(&fan).list_drafts(fan.request(pb::ListDraftsRequest::default())).await;
    assert_eq!(reason(&refused.expect_err("a fan")), "ROLE_NOT_ALLOWED");

    let two = pb::DraftTerms { seats_per_fan: 2, ..plan.terms.clone() };
    let changed = plan.change(&id, two).await.expect("changed").performance.expect("a performance");
    assert_eq!((changed.performance_id.as_str(), changed.seats_per_fan), (id.as_str(), 2));

    let forgotten = plan.publish(&id, &[]).await.expect_err("Rear has no price");
    assert_eq!((forgotten.code(), reason(&forgotten).as_str()), (Code::FailedPrecondition, "NOT_PUBLISHABLE"));
    assert_eq!(obstacles(&forgotten), [obstacle("GRADE_WITHOUT_PRICE", "Rear")]);
    let contradicted = plan.publish(&id, &["Rear", "Front"]).await.expect_err("Front has a price");
    assert_eq!(obstacles(&contradicted), [obstacle("PRICE_OF_GRADE_NOT_FOR_SALE", "Front")]);
    let both = plan.publish(&id, &["Front"]).await.expect_err("neither grade fits");
    let of_both = [obstacle("PRICE_OF_GRADE_NOT_FOR_SALE", "Front"), obstacle("GRADE_WITHOUT_PRICE", "Rear")];
    assert_eq!(obstacles(&both), of_both);
    assert_eq!(violated_fields(&plan.publish(&id, &["Side"]).await.expect_err("none")), ["grades_not_for_sale[0]"]);
    assert_eq!(plan.told(&fan, &id).await, ["NOT_FOUND"; 6]);

    for _ in 0..2 {
        let published = plan.publish(&id, &["Rear"]).await.expect("published, and again");
        assert_eq!((id_of(&published), published.state()), (id.clone(), pb::DraftState::Published));
    }
    assert_eq!(plan.listed(&auditor).await, [""; 0]);
    assert_eq!(plan.listed_to_fans(&fan).await, std::slice::from_ref(&id));
    let told = plan.told(&fan, &id).await;
    assert_eq!(told, ["told", "told", "told", "NO_QUEUE", "NO_QUEUE", "told"]);
    for ended in [plan.change(&id, plan.terms.clone()).await, plan.withdraw(&id).await] {
        let ended = ended.expect_err("it is published");
        let state = reason_metadata(&ended, "state");
        assert_eq!((reason(&ended).as_str(), state.as_deref()), ("DRAFT_ENDED", Some("PUBLISHED")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_seen_by_fans_once_it_is_published_durable() {
    a_draft_is_seen_by_fans_once_it_is_published(World::durable(2).await, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_is_seen_by_fans_once_it_is_published_embedded() {
    a_draft_is_seen_by_fans_once_it_is_published(World::embedded().await, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_that_cannot_work_is_not_published() {
    let plan = Plan::new(World::embedded().await).await;
    let bad = pb::DraftTerms { concert_id: "x".into(), prices: vec![], ..plan.terms.clone() };
    let violated = violated_fields(&plan.create("", bad).await.expect_err("bad"));
    assert_eq!(violated, ["terms.concert_id", "terms.prices"]);
    assert_eq!(violated_fields(&plan.change("x", plan.terms.clone()).await.expect_err("bad")), ["draft_id"]);
    assert_eq!(reason(&plan.publish(&request_id(), &[]).await.expect_err("unknown")), "NOT_FOUND");

    let late = id_of(&plan.create("", plan.terms.clone()).await.expect("a draft"));
    plan.world.clock.advance(Duration::from_hours(25));
    let late = plan.publish(&late, &["Rear"]).await.expect_err("it has begun");
    let times = [obstacle("STARTS_IN_THE_PAST", "starts_at"), obstacle("SALE_IS_OVER", "on_sale_closes_at")];
    assert_eq!(obstacles(&late), times);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_draft_stays_withdrawn() {
    let plan = Plan::new(World::embedded().await).await;
    let id = id_of(&plan.create("", plan.terms.clone()).await.expect("a draft"));
    for _ in 0..2 {
        assert_eq!(plan.withdraw(&id).await.expect("withdrawn").state(), pb::DraftState::Withdrawn);
    }
    let ended = plan.publish(&id, &["Rear"]).await.expect_err("it is withdrawn");
    assert_eq!(reason_metadata(&ended, "state").as_deref(), Some("WITHDRAWN"));
    let fan = plan.world.fan(0).await;
    assert_eq!(plan.told(&fan, &id).await, ["NOT_FOUND"; 6]);
    assert_eq!(plan.listed(&plan.operator).await, [""; 0]);
}
