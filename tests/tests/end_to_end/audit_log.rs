//! What is changed by those who work for the house is in the audit log.

use encore_domain::identity::Role;
use encore_domain::queue::QueueSettings;
use encore_proto::admin::v1 as pb;
use encore_proto::admin::v1::money_service_client::MoneyServiceClient;
use encore_proto::admin::v1::records_service_client::RecordsServiceClient;
use encore_proto::common::v1::Money;
use encore_proto::identity::v1::Role as RoleInProto;
use encore_tests::fan::{Fan, reason, request_id, violated_fields};
use encore_tests::world::World;
use tonic::Status;

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

async fn every_change_is_in_the_audit_log(world: World) {
    let (operator, box_office) = (world.operator().await, world.user(0, Role::BoxOffice).await);
    let auditor = world.user(0, Role::Auditor).await;
    let fan = world.fan(0).await;
    let performance = world.performance(Some(QueueSettings::default())).await;
    let at_the_door = world.performance(None).await;
    let (sale, user) = (performance.to_string(), fan.user.to_string());
    let mut admin = operator.admin();
    assert_eq!(log(&auditor, pb::ListAuditEntriesRequest::default()).await, [], "fixtures are the server's own");

    let paused = request_id();
    let pause = pb::PauseQueueRequest { request_id: paused.clone(), performance_id: sale.clone() };
    for _ in 0..2 {
        admin.pause_queue(operator.request(pause.clone())).await.expect("paused");
    }
    operator.block("", performance, &["S-A-1", "S-A-2"], "House seats").await.expect("blocked");
    let grant = pb::GrantLaneRequest {
        performance_id: sale.clone(),
        user_id: user.clone(),
        lane: "general".into(),
        valid_for: None,
    };
    admin.grant_lane(operator.request(grant)).await.expect("granted");
    let amount = Some(Money { amount_minor: 500, currency_code: "EUR".into() });
    let credited = request_id();
    let credit = pb::CreditWalletRequest {
        request_id: credited.clone(),
        user_id: user.clone(),
        amount,
        reason: "a pillar".into(),
    };
    MoneyServiceClient::new(operator.channel.clone()).credit_wallet(operator.request(credit)).await.expect("credited");
    let held = fan.hold(at_the_door, &["S-A-1"]).await.expect("held");
    fan.top_up(12_000).await.expect("topped up");
    fan.pay(&held.reservation_id).await.expect("paid");
    let cancel = pb::CancelReservationRequest {
        request_id: request_id(),
        reservation_id: held.reservation_id.clone(),
        reason: "a broken chair".into(),
    };
    box_office.admin().cancel_reservation(box_office.request(cancel)).await.expect("cancelled");
    let promote = pb::SetUserRoleRequest { user_id: user.clone(), role: RoleInProto::Support.into() };
    admin.set_user_role(operator.request(promote)).await.expect("promoted");

    let all = log(&auditor, pb::ListAuditEntriesRequest::default()).await;
    let mut told: Vec<(&str, &str, &str)> =
        all.iter().map(|entry| (entry.rpc.as_str(), entry.target_id.as_str(), entry.reason.as_str())).collect();
    told.sort_unstable();
    let reservation = held.reservation_id.as_str();
    assert_eq!(
        told,
        [
            ("AdminService.BlockSeats", sale.as_str(), "House seats"),
            ("AdminService.CancelReservation", reservation, "a broken chair"),
            ("AdminService.GrantLane", user.as_str(), ""),
            ("AdminService.PauseQueue", sale.as_str(), ""),
            ("AdminService.SetUserRole", user.as_str(), ""),
            ("MoneyService.CreditWallet", user.as_str(), "a pillar"),
        ],
        "each change once, a repeat not at all"
    );
    let of_user = log(&auditor, pb::ListAuditEntriesRequest { target_id: user, ..Default::default() }).await;
    assert_eq!(of_user.len(), 3);
    let by = box_office.user.to_string();
    let by_box_office = log(&operator, pb::ListAuditEntriesRequest { user_id: by.clone(), ..Default::default() }).await;
    let [refund] = by_box_office.as_slice() else { panic!("one entry: {by_box_office:?}") };
    assert_eq!((refund.user_id.as_str(), refund.role()), (by.as_str(), RoleInProto::BoxOffice));
    assert_eq!(refund.target_kind(), pb::AuditTargetKind::Reservation);
    let pause = all.iter().find(|entry| entry.rpc == "AdminService.PauseQueue").expect("an entry");
    let change = pb::AuditChange { field: "paused".into(), before: Some("false".into()), after: Some("true".into()) };
    assert_eq!((pause.changes.as_slice(), pause.request_id.as_str()), ([change].as_slice(), paused.as_str()));
    let printed = format!("{all:?}");
    assert!(!printed.contains('@'), "no e-mail address: {printed}");

    let support = world.user(0, Role::Support).await;
    for other in [&fan, &support, &box_office] {
        let refused = entries(other, pb::ListAuditEntriesRequest::default()).await.expect_err("not theirs");
        assert_eq!(reason(&refused), "ROLE_NOT_ALLOWED");
    }
    let bad = pb::ListAuditEntriesRequest { user_id: "x".into(), target_id: "y".into(), ..Default::default() };
    assert_eq!(violated_fields(&entries(&auditor, bad).await.expect_err("bad")), ["user_id", "target_id"]);
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
        let change = entry.changes.iter().find(|change| ["blocked_seats", "seats"].contains(&change.field.as_str()));
        let change = change.expect("a number of seats");
        noted.push((&entry.target_id, &change.field, change.after.as_deref().expect("a number")));
    }
    noted.sort_by_key(|(_, field, after)| (*field, *after));
    // The seat that was cancelled is blocked after the others.
    let expected = [
        (performance_id.as_str(), "blocked_seats", "1"),
        (performance_id.as_str(), "blocked_seats", "25"),
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
