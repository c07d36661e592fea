//! Support finds a fan, and what the fan has bought.

use encore_domain::identity::{Role, User};
use encore_payment_gateway::NEEDS_ACTION;
use encore_port_tests::fixtures;
use encore_proto::admin::v1 as pb;
use encore_proto::admin::v1::records_service_client::RecordsServiceClient;
use encore_proto::booking::v1::ReservationState;
use encore_proto::payment::v1::PaymentState;
use encore_tests::fan::{Fan, reason, request_id, violated_fields};
use encore_tests::world::World;
use tonic::Status;
use tonic::transport::Channel;

fn client(by: &Fan) -> RecordsServiceClient<Channel> {
    RecordsServiceClient::new(by.channel.clone())
}

async fn found(by: &Fan, email: &str, user_id: &str) -> Result<String, Status> {
    let message = pb::FindUserRequest { email: email.into(), user_id: user_id.into() };
    Ok(client(by).find_user(by.request(message)).await?.into_inner().user.expect("a user").user_id)
}

async fn support_finds_a_fan_and_what_is_bought(world: World) {
    let support = world.user(0, Role::Support).await;
    let (performance, account) = (world.performance(None).await, fixtures::account());
    let email = account.user.email.as_str().to_owned();
    let user = account.user.id.to_string();
    world.ports.users.create(account.clone(), None).await.expect("a new user");
    let fan = world.fan(0).await;
    assert_eq!(found(&support, &email.to_uppercase(), "").await.expect("found"), user);
    assert_eq!(found(&support, "", &user).await.expect("found"), user);
    let nobody = found(&support, "nobody@example.com", "").await.expect_err("nobody");
    assert_eq!(reason(&nobody), "NOT_FOUND");
    assert!(!nobody.message().contains('@'), "{}", nobody.message());
    assert_eq!(reason(&found(&support, "", &request_id()).await.expect_err("nobody")), "NOT_FOUND");
    assert_eq!(violated_fields(&found(&support, &email, &user).await.expect_err("both")), ["user_id"]);
    assert_eq!(violated_fields(&found(&support, "x", "").await.expect_err("bad")), ["email"]);
    assert_eq!(violated_fields(&found(&support, "", "").await.expect_err("neither")), ["user_id"]);

    let id = fan.user.to_string();
    let (held, bought) = (
        fan.hold(performance, &["S-A-1"]).await.expect("held"),
        fan.hold(performance, &["S-A-2"]).await.expect("held"),
    );
    fan.top_up(12_000).await.expect("topped up");
    let paid = fan.pay(&bought.reservation_id).await.expect("paid");
    let reservations = async |by: &Fan, states: &[ReservationState]| -> Result<Vec<String>, Status> {
        let states = states.iter().map(|state| (*state).into()).collect();
        let message = pb::ListUserReservationsRequest { user_id: id.clone(), states, ..Default::default() };
        let listed = client(by).list_user_reservations(by.request(message)).await?.into_inner().reservations;
        Ok(listed.into_iter().map(|reservation| reservation.reservation_id).collect())
    };
    let mut all = reservations(&support, &[]).await.expect("both");
    all.sort();
    let mut both = [held.reservation_id.clone(), bought.reservation_id.clone()];
    both.sort();
    assert_eq!(all, both);
    assert_eq!(reservations(&support, &[ReservationState::Confirmed]).await.expect("one"), [bought.reservation_id]);
    let payments = async || {
        let message = pb::ListUserPaymentsRequest { user_id: id.clone(), ..Default::default() };
        let listed = client(&support).list_user_payments(support.request(message)).await;
        listed.expect("payments").into_inner().payments
    };
    let listed: Vec<String> = payments().await.into_iter().map(|payment| payment.payment_id).collect();
    assert_eq!(listed, [paid.payment_id]);
    let waiting = fan.pay_by_card(&held.reservation_id, NEEDS_ACTION).await.expect("an answer");
    assert!(waiting.next_action.is_some(), "{waiting:?}");
    let seen = payments().await.into_iter().find(|it| it.payment_id == waiting.payment_id).expect("the payment");
    assert_eq!((seen.state(), seen.next_action), (PaymentState::NeedsAction, None));

    let refused = [found(&fan, &email, "").await.map(drop), reservations(&fan, &[]).await.map(drop)];
    assert!(refused.iter().all(|it| it.as_ref().is_err_and(|it| reason(it) == "ROLE_NOT_ALLOWED")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn support_finds_a_fan_and_what_is_bought_durable() {
    support_finds_a_fan_and_what_is_bought(World::durable(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn support_finds_a_fan_and_what_is_bought_embedded() {
    support_finds_a_fan_and_what_is_bought(World::embedded().await).await;
}

/// The ids of the reservations and of the payments of a user, as staff see them.
async fn records(by: &Fan, user_id: &str) -> (Vec<String>, Vec<String>) {
    let reservations = pb::ListUserReservationsRequest { user_id: user_id.into(), ..Default::default() };
    let payments = pb::ListUserPaymentsRequest { user_id: user_id.into(), ..Default::default() };
    let reservations = client(by).list_user_reservations(by.request(reservations)).await.expect("reservations");
    let payments = client(by).list_user_payments(by.request(payments)).await.expect("payments");
    (
        reservations.into_inner().reservations.into_iter().map(|reservation| reservation.reservation_id).collect(),
        payments.into_inner().payments.into_iter().map(|payment| payment.payment_id).collect(),
    )
}

async fn the_records_of_a_deleted_fan_stay(world: World) {
    let (support, fan) = (world.user(0, Role::Support).await, world.fan(0).await);
    let id = fan.user.to_string();
    let bought = fan.hold(world.performance(None).await, &["S-A-1"]).await.expect("held");
    fan.top_up(12_000).await.expect("topped up");
    let paid = fan.pay(&bought.reservation_id).await.expect("paid");
    fan.cancel(&bought.reservation_id, &[]).await.expect("cancelled");
    let of_fan = (vec![bought.reservation_id], vec![paid.payment_id]);
    assert_eq!(records(&support, &id).await, of_fan);

    let account = world.ports.users.find(fan.user).await.expect("the store answers").expect("an account");
    world.ports.users.delete(&account, true, world.now()).await.expect("deleted");
    assert_eq!(records(&support, &id).await, of_fan);
    let (placeholder, _) = User::without_person(fan.user);
    for (email, user_id) in [("", id.as_str()), (account.user.email.as_str(), ""), (placeholder.as_str(), "")] {
        assert_eq!(reason(&found(&support, email, user_id).await.expect_err("nobody")), "NOT_FOUND");
    }
    assert_eq!(records(&support, &request_id()).await, (vec![], vec![]), "an ID that no user has");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_a_deleted_fan_stay_durable() {
    the_records_of_a_deleted_fan_stay(World::durable(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_records_of_a_deleted_fan_stay_embedded() {
    the_records_of_a_deleted_fan_stay(World::embedded().await).await;
}
