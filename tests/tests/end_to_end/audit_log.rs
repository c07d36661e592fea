//! What is changed by those who work for the house is in the audit log.

use std::collections::BTreeSet;

use encore_domain::identity::Role;
use encore_proto::FILE_DESCRIPTOR_SET;
use encore_proto::admin::v1 as pb;
use encore_proto::admin::v1::AuditTargetKind as Kind;
use encore_proto::admin::v1::draft_service_client::DraftServiceClient;
use encore_proto::admin::v1::money_service_client::MoneyServiceClient;
use encore_proto::admin::v1::performance_service_client::PerformanceServiceClient;
use encore_proto::admin::v1::records_service_client::RecordsServiceClient;
use encore_proto::catalog::v1::GradePrice;
use encore_proto::common::v1::Money;
use encore_proto::contract::{Rpc, rpcs_of};
use encore_proto::identity::v1::Role as RoleInProto;
use encore_tests::fan::{Fan, reason, request_id, violated_fields};
use encore_tests::world::World;
use tonic::Status;

/// The services whose changes are noted.
const AUDITED: [&str; 4] = [
    "encore.admin.v1.AdminService",
    "encore.admin.v1.DraftService",
    "encore.admin.v1.PerformanceService",
    "encore.admin.v1.MoneyService",
];

/// A plan of two seats.
const PLAN: &str = r#"{ "name": "Studio", "categories": [{ "name": "Seats" }], "zones": [
    { "name": "Stalls", "position": { "x": 0, "y": 0 }, "rows": [{ "row_number": "A", "seats": [
        { "seat_guid": "a1", "seat_number": "1", "position": { "x": 30, "y": 0 }, "category": "Seats" },
        { "seat_guid": "a2", "seat_number": "2", "position": { "x": 60, "y": 0 }, "category": "Seats" } ] }] } ] }"#;

fn euros(amount_minor: i64) -> Money {
    Money { amount_minor, currency_code: "EUR".into() }
}

async fn entries(caller: &Fan, message: pb::ListAuditEntriesRequest) -> Result<pb::ListAuditEntriesResponse, Status> {
    let mut client = RecordsServiceClient::new(caller.channel.clone());
    Ok(client.list_audit_entries(caller.request(message)).await?.into_inner())
}

/// The whole log, in pages of two.
async fn log(caller: &Fan, filter: pb::ListAuditEntriesRequest) -> Vec<pb::AuditEntry> {
    let mut log = Vec::new();
    let mut page_token = String::new();
    loop {
        let message = pb::ListAuditEntriesRequest { page_size: 2, page_token, ..filter.clone() };
        let page = entries(caller, message).await.expect("a page");
        log.extend(page.entries);
        if page.next_page_token.is_empty() {
            return log;
        }
        page_token = page.next_page_token;
    }
}

/// The name, the value before and the value after of a change.
type Value = (&'static str, Option<&'static str>, Option<&'static str>);

/// A change that somebody made, and what its entry must say.
struct Made {
    rpc: &'static str,
    target: (Kind, String),
    request_id: String,
    reason: &'static str,
    /// One of the values that it changed.
    value: Value,
}

impl Made {
    fn assert_noted_once(&self, log: &[pb::AuditEntry]) {
        let Self { rpc, target: (kind, id), request_id, value: (field, before, after), .. } = self;
        let is_it = |it: &&pb::AuditEntry| {
            let is_of_field = it.changes.iter().any(|change| change.field == *field);
            it.rpc == *rpc && it.target_id == *id && it.request_id == *request_id && is_of_field
        };
        let entries: Vec<&pb::AuditEntry> = log.iter().filter(is_it).collect();
        let [entry] = entries.as_slice() else { panic!("{rpc} notes {field} once: {entries:?}") };
        assert_eq!((entry.target_kind(), entry.reason.as_str()), (*kind, self.reason), "{rpc}");
        let change = entry.changes.iter().find(|change| change.field == *field);
        let change = change.unwrap_or_else(|| panic!("{rpc} changed {field}: {entry:?}"));
        assert_eq!((change.before.as_deref(), change.after.as_deref()), (*before, *after), "{rpc}: {field}");
    }
}

/// Those who work for the house, and what they changed.
struct House<'a> {
    world: &'a World,
    operator: Fan,
    box_office: Fan,
    fan: Fan,
    made: Vec<Made>,
}

impl House<'_> {
    /// Adds a change without a reason.
    fn did(&mut self, rpc: &'static str, target: (Kind, &str), request_id: &str, value: Value) {
        let (kind, id) = target;
        let (target, request_id) = ((kind, id.to_owned()), request_id.to_owned());
        self.made.push(Made { rpc, target, request_id, reason: "", value });
    }

    /// Says why the last change was made.
    fn because(&mut self, reason: &'static str) {
        self.made.last_mut().expect("a change").reason = reason;
    }

    fn at(&self, hours: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds: self.world.now().timestamp() + hours * 3_600, nanos: 0 }
    }

    /// Imports and revises a venue, creates a concert, and returns a draft of a performance of both.
    async fn sets_up(&mut self) -> pb::DraftTerms {
        let (mut admin, request) = (self.operator.admin(), request_id());
        let message = pb::ImportVenueRequest { request_id: request.clone(), plan_json: PLAN.into(), location: None };
        let imported = admin.import_venue(self.operator.request(message)).await.expect("imported").into_inner();
        let venue = imported.venue.expect("a venue").venue_id;
        self.did("AdminService.ImportVenue", (Kind::Venue, &venue), &request, ("seats_total", None, Some("2")));

        let floor = pb::NewGeneralAdmissionArea { name: "Floor".into(), grade: "Seats".into(), capacity: 40 };
        let message = pb::ReviseVenueRequest {
            venue_id: venue.clone(),
            general_admission_areas: vec![floor],
            ..Default::default()
        };
        let revised = admin.revise_venue(self.operator.request(message)).await.expect("revised").into_inner();
        let larger = revised.venue.expect("a venue").venue_id;
        self.did("AdminService.ReviseVenue", (Kind::Venue, &larger), "", ("seats_total", None, Some("42")));

        let message =
            pb::CreateConcertRequest { title: "Recital".into(), artist: "A Pianist".into(), ..Default::default() };
        let created = admin.create_concert(self.operator.request(message)).await.expect("created").into_inner();
        let concert = created.concert.expect("a concert").concert_id;
        self.did("AdminService.CreateConcert", (Kind::Concert, &concert), "", ("title", None, Some("Recital")));
        pb::DraftTerms {
            concert_id: concert,
            venue_id: venue,
            starts_at: Some(self.at(48)),
            on_sale_opens_at: Some(self.at(2)),
            on_sale_closes_at: Some(self.at(24)),
            prices: vec![GradePrice { grade: "Seats".into(), price: Some(euros(1_500)) }],
            ..Default::default()
        }
    }

    /// Creates a performance with a queue, changes the queue in every way, and grants a lane of it.
    async fn runs_a_queue(&mut self, terms: &pb::DraftTerms) {
        let operator = self.operator.clone();
        let (mut admin, user) = (operator.admin(), self.fan.user.to_string());
        let message = pb::CreatePerformanceRequest {
            concert_id: terms.concert_id.clone(),
            venue_id: terms.venue_id.clone(),
            starts_at: terms.starts_at,
            on_sale_opens_at: terms.on_sale_opens_at,
            on_sale_closes_at: terms.on_sale_closes_at,
            prices: terms.prices.clone(),
            queue: Some(pb::QueueSettings { max_active: Some(9), ..Default::default() }),
            pre_queue_opens_at: Some(self.at(1)),
            ..Default::default()
        };
        let created = admin.create_performance(operator.request(message)).await.expect("created").into_inner();
        let performance_id = created.performance.expect("a performance").performance_id;
        let target = (Kind::Performance, performance_id.as_str());
        self.did("AdminService.CreatePerformance", target, "", ("prices", None, Some("1500 EUR")));

        let request = request_id();
        let settings = Some(pb::QueueSettings { max_active: Some(7), ..Default::default() });
        let update = pb::UpdateQueueRequest { performance_id: performance_id.clone(), settings, ..Default::default() };
        admin.update_queue(operator.request(update)).await.expect("updated");
        self.did("AdminService.UpdateQueue", target, "", ("max_active", Some("9"), Some("7")));
        let pause = pb::PauseQueueRequest { request_id: request.clone(), performance_id: performance_id.clone() };
        for _ in 0..2 {
            admin.pause_queue(operator.request(pause.clone())).await.expect("paused, and again");
        }
        self.did("AdminService.PauseQueue", target, &request, ("paused", Some("false"), Some("true")));
        let resume = pb::ResumeQueueRequest { performance_id: performance_id.clone(), ..Default::default() };
        admin.resume_queue(operator.request(resume)).await.expect("resumed");
        self.did("AdminService.ResumeQueue", target, "", ("paused", Some("true"), Some("false")));
        let drain = pb::DrainQueueRequest { performance_id: performance_id.clone(), ..Default::default() };
        admin.drain_queue(operator.request(drain)).await.expect("draining");
        self.did("AdminService.DrainQueue", target, "", ("draining", Some("false"), Some("true")));
        let message = pb::SetQueueMessageRequest {
            performance_id: performance_id.clone(),
            message: "Doors at eight".into(),
            ..Default::default()
        };
        admin.set_queue_message(operator.request(message)).await.expect("set");
        self.did("AdminService.SetQueueMessage", target, "", ("message", None, Some("Doors at eight")));
        let grant = pb::GrantLaneRequest {
            performance_id: performance_id.clone(),
            user_id: user.clone(),
            lane: "general".into(),
            valid_for: None,
        };
        admin.grant_lane(operator.request(grant)).await.expect("granted");
        self.did("AdminService.GrantLane", (Kind::User, &user), "", ("lane", None, Some("general")));
    }

    /// Creates two drafts, changes and publishes one, and withdraws the other. Each call that ends a draft is repeated.
    async fn plans(&mut self, terms: &pb::DraftTerms) {
        let operator = self.operator.clone();
        let mut drafts = DraftServiceClient::new(operator.channel.clone());
        let mut ids = Vec::new();
        for request in [request_id(), String::new()] {
            let message = pb::CreateDraftRequest { request_id: request.clone(), terms: Some(terms.clone()) };
            let created = drafts.create_draft(operator.request(message)).await.expect("created").into_inner();
            let id = created.draft.and_then(|draft| draft.performance).expect("a performance").performance_id;
            let target = (Kind::Performance, id.as_str());
            self.did("DraftService.CreateDraft", target, &request, ("prices", None, Some("1500 EUR")));
            ids.push(id);
        }
        let [published, withdrawn] = [ids[0].clone(), ids[1].clone()];
        for _ in 0..2 {
            let terms = Some(pb::DraftTerms { seats_per_fan: 2, ..terms.clone() });
            let change = pb::ChangeDraftRequest { draft_id: published.clone(), terms };
            drafts.change_draft(operator.request(change)).await.expect("changed, and again");
        }
        for _ in 0..2 {
            let publish = pb::PublishDraftRequest { draft_id: published.clone(), ..Default::default() };
            drafts.publish_draft(operator.request(publish)).await.expect("published, and again");
            let withdraw = pb::WithdrawDraftRequest { draft_id: withdrawn.clone() };
            drafts.withdraw_draft(operator.request(withdraw)).await.expect("withdrawn, and again");
        }
        let target = (Kind::Performance, published.as_str());
        self.did("DraftService.ChangeDraft", target, "", ("seats_per_fan", Some("8"), Some("2")));
        self.did("DraftService.PublishDraft", target, "", ("draft", Some("OPEN"), Some("PUBLISHED")));
        let target = (Kind::Performance, withdrawn.as_str());
        self.did("DraftService.WithdrawDraft", target, "", ("draft", Some("OPEN"), Some("WITHDRAWN")));
    }

    /// Blocks and unblocks seats, and cancels a performance of which nothing is sold.
    async fn keeps_seats_from_sale(&mut self) {
        let performance = self.world.performance(None).await;
        let (operator, id) = (self.operator.clone(), performance.to_string());
        let target = (Kind::Performance, id.as_str());
        operator.block("", performance, &["S-A-1", "S-A-2"], "House seats").await.expect("blocked");
        self.did("AdminService.BlockSeats", target, "", ("blocked_seats", None, Some("2")));
        self.because("House seats");
        operator.unblock("", performance, &["S-A-2"]).await.expect("unblocked");
        self.did("AdminService.UnblockSeats", target, "", ("unblocked_seats", None, Some("1")));
        let cancel = pb::CancelPerformanceRequest {
            performance_id: id.clone(),
            reason: "the singer is ill".into(),
            confirmed_reservations: 0,
            confirmed_amount: Some(euros(0)),
        };
        let run = operator.admin().cancel_performance(operator.request(cancel)).await.expect("a run");
        let mut run = run.into_inner();
        while run.message().await.expect("a report").is_some() {}
        self.did("AdminService.CancelPerformance", target, "", ("cancelled", None, Some("true")));
        self.because("the singer is ill");
        self.did("AdminService.CancelPerformance", target, "", ("blocked_seats", None, Some("25")));
        self.because("the singer is ill");
    }

    /// Postpones a performance, changes its limit, and withdraws it. Each call is repeated.
    async fn changes_a_performance(&mut self) {
        let performance_id = self.world.performance(None).await.to_string();
        let operator = self.operator.clone();
        let mut performances = PerformanceServiceClient::new(operator.channel.clone());
        let target = (Kind::Performance, performance_id.as_str());
        let requests = [(); 3].map(|()| request_id());
        let [postponing, updating, withdrawing] = requests.clone();
        let postpone = pb::PostponePerformanceRequest {
            request_id: postponing,
            performance_id: performance_id.clone(),
            starts_at: Some(self.at(40 * 24)),
            refunds_until: Some(self.at(24)),
            reason: "illness".into(),
        };
        let update = pb::UpdatePerformanceRequest {
            request_id: updating,
            performance_id: performance_id.clone(),
            seats_per_fan: Some(2),
            reason: "demand".into(),
            ..Default::default()
        };
        let withdraw = pb::WithdrawPerformanceRequest {
            request_id: withdrawing,
            performance_id: performance_id.clone(),
            reason: "a mistake".into(),
        };
        for _ in 0..2 {
            let postponed = performances.postpone_performance(operator.request(postpone.clone())).await;
            postponed.expect("postponed, and again");
            performances.update_performance(operator.request(update.clone())).await.expect("changed, and again");
            performances.withdraw_performance(operator.request(withdraw.clone())).await.expect("withdrawn, and again");
        }
        let starts_at = ("starts_at", Some("2026-07-01T10:00:00Z"), Some("2026-07-11T10:00:00Z"));
        self.did("PerformanceService.PostponePerformance", target, &requests[0], starts_at);
        self.because("illness");
        let limit = ("seats_per_fan", Some("6"), Some("2"));
        self.did("PerformanceService.UpdatePerformance", target, &requests[1], limit);
        self.because("demand");
        let withdrawn_at = ("withdrawn_at", None, Some("2026-06-01T10:00:00Z"));
        self.did("PerformanceService.WithdrawPerformance", target, &requests[2], withdrawn_at);
        self.because("a mistake");
    }

    /// Gives money back to a fan, gives the fan a role, and stops all sales.
    async fn helps_a_fan(&mut self) {
        let (performance, fan) = (self.world.performance(None).await, self.fan.clone());
        let (operator, box_office, user) = (self.operator.clone(), self.box_office.clone(), fan.user.to_string());
        let held = fan.hold(performance, &["S-A-1"]).await.expect("held");
        fan.top_up(12_000).await.expect("topped up");
        fan.pay(&held.reservation_id).await.expect("paid");
        let request = request_id();
        let cancel = pb::CancelReservationRequest {
            request_id: request.clone(),
            reservation_id: held.reservation_id.clone(),
            reason: "a broken chair".into(),
        };
        box_office.admin().cancel_reservation(box_office.request(cancel)).await.expect("cancelled");
        let target = (Kind::Reservation, held.reservation_id.as_str());
        self.did("AdminService.CancelReservation", target, &request, ("seats", Some("1"), Some("0")));
        self.because("a broken chair");

        let (mut money, request) = (MoneyServiceClient::new(operator.channel.clone()), request_id());
        let credit = pb::CreditWalletRequest {
            request_id: request.clone(),
            user_id: user.clone(),
            amount: Some(euros(500)),
            reason: "a pillar".into(),
        };
        money.credit_wallet(operator.request(credit)).await.expect("credited");
        let balance = ("balance", Some("12000 EUR"), Some("12500 EUR"));
        self.did("MoneyService.CreditWallet", (Kind::User, &user), &request, balance);
        self.because("a pillar");
        for _ in 0..2 {
            let promote = pb::SetUserRoleRequest { user_id: user.clone(), role: RoleInProto::Support.into() };
            operator.admin().set_user_role(operator.request(promote)).await.expect("promoted, and again");
        }
        self.did("AdminService.SetUserRole", (Kind::User, &user), "", ("role", Some("FAN"), Some("SUPPORT")));
        let stop = pb::SetSalesSwitchRequest { is_stopped: true, reason: "a fire alarm".into() };
        money.set_sales_switch(operator.request(stop)).await.expect("stopped");
        let stopped = ("is_stopped", Some("false"), Some("true"));
        self.did("MoneyService.SetSalesSwitch", (Kind::SalesSwitch, ""), "", stopped);
        self.because("a fire alarm");
    }
}

/// The RPCs that change something by the services whose changes are noted, as the log names them.
fn changing_rpcs() -> BTreeSet<String> {
    let is_noted = |rpc: &Rpc| AUDITED.contains(&rpc.service.as_str()) && !rpc.is_read_only;
    let rpcs = rpcs_of(FILE_DESCRIPTOR_SET).expect("descriptors").into_iter().filter(is_noted);
    rpcs.map(|rpc| format!("{}.{}", rpc.service.trim_start_matches("encore.admin.v1."), rpc.name)).collect()
}

async fn every_change_is_in_the_audit_log(world: World) {
    let auditor = world.user(0, Role::Auditor).await;
    let mut house = House {
        world: &world,
        operator: world.operator().await,
        box_office: world.user(0, Role::BoxOffice).await,
        fan: world.fan(0).await,
        made: Vec::new(),
    };
    world.performance(None).await;
    assert_eq!(log(&auditor, pb::ListAuditEntriesRequest::default()).await, [], "fixtures are the server's own");

    let terms = house.sets_up().await;
    house.runs_a_queue(&terms).await;
    house.plans(&terms).await;
    house.keeps_seats_from_sale().await;
    house.changes_a_performance().await;
    house.helps_a_fan().await;

    let House { operator, box_office, fan, made, .. } = house;
    let rpcs: BTreeSet<String> = made.iter().map(|made| made.rpc.to_owned()).collect();
    assert_eq!(rpcs, changing_rpcs(), "every RPC that changes something was called");
    let all = log(&auditor, pb::ListAuditEntriesRequest::default()).await;
    assert_eq!(all.len(), made.len(), "a repeat is not noted: {all:?}");
    for made in &made {
        made.assert_noted_once(&all);
    }
    let printed = format!("{all:?}");
    assert!(!printed.contains('@'), "no e-mail address: {printed}");

    let target_id = fan.user.to_string();
    let of_user = log(&auditor, pb::ListAuditEntriesRequest { target_id, ..Default::default() }).await;
    assert_eq!(of_user.len(), 3, "a lane, a credit and a role: {of_user:?}");
    let by = box_office.user.to_string();
    let by_box_office = log(&operator, pb::ListAuditEntriesRequest { user_id: by.clone(), ..Default::default() }).await;
    let [refund] = by_box_office.as_slice() else { panic!("one entry: {by_box_office:?}") };
    assert_eq!((refund.user_id.as_str(), refund.role()), (by.as_str(), RoleInProto::BoxOffice));
    let bad = pb::ListAuditEntriesRequest { user_id: "x".into(), target_id: "y".into(), ..Default::default() };
    assert_eq!(violated_fields(&entries(&auditor, bad).await.expect_err("bad")), ["user_id", "target_id"]);
    for other in [world.fan(0).await, world.user(0, Role::Support).await, box_office] {
        let refused = entries(&other, pb::ListAuditEntriesRequest::default()).await.expect_err("not theirs");
        assert_eq!(reason(&refused), "ROLE_NOT_ALLOWED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_in_the_audit_log_durable() {
    every_change_is_in_the_audit_log(World::durable(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_in_the_audit_log_embedded() {
    every_change_is_in_the_audit_log(World::embedded().await).await;
}

async fn a_cancelled_performance_is_in_the_audit_log(world: World) {
    let (operator, fan) = (world.operator().await, world.fan(0).await);
    let performance = world.performance(None).await;
    let performance_id = performance.to_string();
    let held = fan.hold(performance, &["S-A-1"]).await.expect("held");
    fan.top_up(12_000).await.expect("topped up");
    fan.pay(&held.reservation_id).await.expect("paid");
    let cancel = pb::CancelPerformanceRequest {
        performance_id: performance_id.clone(),
        reason: "the singer is ill".into(),
        confirmed_reservations: 1,
        confirmed_amount: Some(euros(12_000)),
    };
    let mut run = operator.admin().cancel_performance(operator.request(cancel)).await.expect("a run").into_inner();
    while run.message().await.expect("a report").is_some() {}

    let all = log(&operator, pb::ListAuditEntriesRequest::default()).await;
    let mut noted: Vec<(&str, &str, &str)> = Vec::new();
    for entry in &all {
        assert_eq!(
            (entry.rpc.as_str(), entry.reason.as_str()),
            ("AdminService.CancelPerformance", "the singer is ill")
        );
        assert_eq!(entry.request_id, "", "the call has no request id: {entry:?}");
        let fields = ["cancelled", "blocked_seats", "seats"];
        let change = entry.changes.iter().find(|change| fields.contains(&change.field.as_str()));
        let change = change.expect("a number of seats, or that the performance is cancelled");
        noted.push((&entry.target_id, &change.field, change.after.as_deref().expect("what it is")));
    }
    noted.sort_by_key(|(_, field, after)| (*field, *after));
    // The seat that was cancelled is blocked after the others.
    let expected = [
        (performance_id.as_str(), "blocked_seats", "1"),
        (performance_id.as_str(), "blocked_seats", "25"),
        (performance_id.as_str(), "cancelled", "true"),
        (held.reservation_id.as_str(), "seats", "0"),
    ];
    assert_eq!(noted, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_performance_is_in_the_audit_log_durable() {
    a_cancelled_performance_is_in_the_audit_log(World::durable(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_performance_is_in_the_audit_log_embedded() {
    a_cancelled_performance_is_in_the_audit_log(World::embedded().await).await;
}
