//! Repeated requests return the first result and have no second effect.

use std::time::Duration;

use encore_domain::queue::QueueSettings;
use encore_proto::booking::v1::ReservationState;
use encore_proto::common::v1::Money;
use encore_proto::identity::v1::SignUpRequest;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::queue::v1::{EndReason, JoinQueueResponse};
use encore_proto::wallet::v1::TopUpRequest;
use encore_tests::fan::{reason, request_id};
use encore_tests::ledger;
use encore_tests::world::World;
use futures::future::join_all;

/// What a repeat of a join returns again: the status is that of the moment.
fn without_status(joined: JoinQueueResponse) -> JoinQueueResponse {
    JoinQueueResponse { status: None, observed_at: None, ..joined }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_hold_returns_the_first_hold_even_after_its_payment() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(QueueSettings::default())).await;
    let mut fan = world.fan(0).await;
    fan.enter(performance).await.expect("admitted");
    fan.top_up(50_000).await.expect("a credit");
    let request = request_id();

    let holds = join_all((0..20).map(|turn| {
        let (fan, request) = (fan.on(world.channel(turn)), request.clone());
        async move { fan.hold_as(&request, performance, &["S-A-1", "S-A-2"]).await.expect("the same reply") }
    }))
    .await;
    assert!(holds.iter().all(|hold| *hold == holds[0]));
    assert_eq!(ledger::events(world.database(), "booking.hold_placed").await, 1);

    let (pay_request, id) = (request_id(), &holds[0].reservation_id);
    let payment = fan.pay_as(&pay_request, id).await.expect("a payment");
    // The token is used, the seats are sold and the hold is confirmed. Repeats still return the first replies.
    let again = fan.on(world.channel(1)).hold_as(&request, performance, &["S-A-1", "S-A-2"]).await.expect("again");
    assert_eq!(again, holds[0]);
    assert_eq!(again.state(), ReservationState::Held);
    assert_eq!(fan.on(world.channel(1)).pay_as(&pay_request, id).await.expect("again"), payment);
    assert_eq!(fan.balance().await.expect("a balance"), 26_000);

    let refusal = fan.hold_as(&request, performance, &["S-A-3"]).await.expect_err("another body");
    assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
    let refusal = fan.pay_as(&request, id).await.expect_err("another operation");
    assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_whatever_has_become_of_token_and_sale() {
    for world in [World::durable(2).await, World::embedded().await, World::without_redis().await] {
        let performance = world.performance(Some(QueueSettings { max_active: 1, ..QueueSettings::default() })).await;
        let (mut fan, mut next) = (world.fan(0).await, world.fan(1).await);
        let [join, hold, extend, give_back, pay] = [(); 5].map(|()| request_id());
        let joined = fan.join_as(&join, performance, "").await.expect("a queue token");
        fan.enter(performance).await.expect("admitted");
        fan.top_up(50_000).await.expect("a credit");
        let held = fan.hold_as(&hold, performance, &["S-A-1", "S-A-2"]).await.expect("a hold");
        let id = held.reservation_id.as_str();
        world.clock.advance(Duration::from_secs(30));
        let extended = fan.extend_as(&extend, id).await.expect("extended");
        let left = fan.release_as(&give_back, id, &["S-A-2"]).await.expect("one seat given back");
        let paid = fan.pay_as(&pay, id).await.expect("a payment");
        next.enter(performance).await.expect("the place of the fan who paid");
        fan.join(performance).await.expect("another queue token");

        let without_token = fan.showing("");
        let garbage = fan.showing("garbage");
        let used = fan.showing(&joined.queue_token);
        for (turn, fan) in [&fan, &without_token, &garbage, &used, &without_token].into_iter().enumerate() {
            if turn == 4 {
                world.clock.advance(Duration::from_hours(24));
            }
            let again = fan.join_as(&join, performance, "").await.expect("a repeat");
            assert_eq!(without_status(again), without_status(joined.clone()));
            assert_eq!(fan.hold_as(&hold, performance, &["S-A-1", "S-A-2"]).await.expect("a repeat"), held);
            assert_eq!(fan.extend_as(&extend, id).await.expect("a repeat"), extended);
            assert_eq!(fan.release_as(&give_back, id, &["S-A-2"]).await.expect("a repeat"), left);
            assert_eq!(fan.pay_as(&pay, id).await.expect("a repeat"), paid);
            for refusal in [
                fan.join_as(&join, performance, "a grant").await.map(drop),
                fan.hold_as(&hold, performance, &["S-A-3"]).await.map(drop),
                fan.extend_as(&hold, id).await.map(drop),
                fan.release_as(&give_back, id, &["S-A-1"]).await.map(drop),
                fan.pay_as(&extend, id).await.map(drop),
            ] {
                assert_eq!(reason(&refusal.expect_err("another body")), "REQUEST_ID_REUSED");
            }
        }
        assert_eq!(fan.balance().await.expect("a balance"), 38_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_leave_does_not_leave_again() {
    for world in [World::durable(2).await, World::embedded().await] {
        let performance = world.performance(Some(QueueSettings::default())).await;
        let mut fan = world.fan(0).await;
        let (join, leave) = (request_id(), request_id());
        let first = fan.join_as(&join, performance, "").await.expect("a queue token");
        let first = fan.showing(&first.queue_token);
        assert_eq!(first.leave_as(&leave).await.expect("left"), EndReason::Left);
        fan.enter(performance).await.expect("admitted with another token");
        fan.hold(performance, &["S-A-1"]).await.expect("a hold");

        for retry in [leave.as_str(), ""] {
            assert_eq!(first.on(world.channel(1)).leave_as(retry).await.expect("a repeat"), EndReason::Left);
        }
        let refusal = fan.leave_as(&leave).await.expect_err("another token");
        assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
        fan.top_up(12_000).await.expect("a credit");
        let held = fan.hold(performance, &["S-A-2"]).await.expect("the second token is active");
        fan.pay(&held.reservation_id).await.expect("a payment");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_in_capitals_are_the_same_ids() {
    for world in [World::durable(2).await, World::embedded().await] {
        let performance = world.performance(Some(QueueSettings::default())).await;
        let mut fan = world.fan(0).await;
        let capitals = |id: &str| id.to_uppercase();
        let id = "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6";
        let joined = fan.join_as(id, performance, "").await.expect("a queue token");
        let again = fan.join_as(&capitals(id), performance, "").await.expect("a repeat");
        assert_eq!(without_status(again), without_status(joined));
        fan.enter(performance).await.expect("admitted");
        fan.top_up(50_000).await.expect("a credit");
        let [hold, pay] = ["0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5fa", "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5fb"];
        let held = fan.hold_as(&capitals(hold), performance, &["S-A-1"]).await.expect("a hold");
        assert_eq!(fan.hold_as(hold, performance, &["S-A-1"]).await.expect("a repeat"), held);
        let paid = fan.pay_as(pay, &held.reservation_id).await.expect("a payment");
        let again = fan.pay_as(&capitals(pay), &capitals(&held.reservation_id)).await.expect("a repeat");
        assert_eq!(again, paid);
        assert_eq!(fan.balance().await.expect("a balance"), 38_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_top_up_credits_once() {
    let world = World::durable(2).await;
    let fan = world.fan(0).await;
    let top_up = |amount_minor| TopUpRequest {
        request_id: "0192f0c1-2b3c-7d4e-8f90-a1b2c3d4e5f6".into(),
        amount: Some(Money { amount_minor, currency_code: "EUR".into() }),
        card: None,
    };
    let entries = join_all((0..20).map(|turn| {
        let fan = fan.on(world.channel(turn));
        let request = fan.request(top_up(700));
        async move { fan.wallet().top_up(request).await.expect("the same reply").into_inner() }
    }))
    .await;
    assert!(entries.iter().all(|entry| *entry == entries[0]));
    assert_eq!(fan.balance().await.expect("a balance"), 700);
    let refusal = fan.wallet().top_up(fan.request(top_up(800))).await.expect_err("another body");
    assert_eq!(reason(&refusal), "REQUEST_ID_REUSED");
    assert_eq!(fan.balance().await.expect("a balance"), 700);
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_sign_up_returns_the_same_user_only_with_the_same_password() {
    let world = World::durable(2).await;
    let sign_up = SignUpRequest {
        request_id: request_id(),
        email: "twice@example.com".into(),
        password: "correct horse".into(),
        display_name: "Twice".into(),
        ..SignUpRequest::default()
    };
    let mut first = IdentityServiceClient::new(world.channel(0).clone());
    let mut second = IdentityServiceClient::new(world.channel(1).clone());
    let user = first.sign_up(sign_up.clone()).await.expect("a user").into_inner();
    let again = second.sign_up(sign_up.clone()).await.expect("the same user").into_inner();
    assert_eq!(user.user, again.user);
    assert_ne!(user.session_id, again.session_id, "a repeat starts another session");
    let other_password = SignUpRequest { password: "battery staple".into(), ..sign_up.clone() };
    assert_eq!(reason(&second.sign_up(other_password).await.expect_err("another body")), "REQUEST_ID_REUSED");
    let other_name = SignUpRequest { display_name: "Thrice".into(), ..sign_up.clone() };
    assert_eq!(reason(&second.sign_up(other_name).await.expect_err("another body")), "REQUEST_ID_REUSED");
    let other_request = SignUpRequest { request_id: request_id(), ..sign_up };
    assert_eq!(reason(&second.sign_up(other_request).await.expect_err("taken")), "EMAIL_TAKEN");
}
