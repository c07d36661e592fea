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
        let message = pb::ListReservationsRequest { user_id: id.clone(), states, ..Default::default() };
        Ok(reservations_of_all(by, message).await?.0.into_iter().map(|(_, reservation)| reservation).collect())
    };
    let mut all = reservations(&support, &[]).await.expect("both");
    all.sort();
    let mut both = [held.reservation_id.clone(), bought.reservation_id.clone()];
    both.sort();
    assert_eq!(all, both);
    assert_eq!(reservations(&support, &[ReservationState::Confirmed]).await.expect("one"), [bought.reservation_id]);
    let payments = async || {
        let message = pb::ListPaymentsRequest { user_id: id.clone(), ..Default::default() };
        let listed = client(&support).list_payments(support.request(message)).await;
        let listed = listed.expect("payments").into_inner().payments;
        listed.into_iter().map(|it| it.payment.expect("a payment")).collect::<Vec<_>>()
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

type Listed = Result<(Vec<(String, String)>, String), Status>;

/// Reservations of all fans, each with whose it is, and the token of the next page.
async fn reservations_of_all(by: &Fan, message: pb::ListReservationsRequest) -> Listed {
    let page = client(by).list_reservations(by.request(message)).await?.into_inner();
    let listed = page.reservations.into_iter().map(|it| (it.user_id, it.reservation.expect("a reservation")));
    Ok((listed.map(|(user, it)| (user, it.reservation_id)).collect(), page.next_page_token))
}

/// The same of payments.
async fn payments_of_all(by: &Fan, message: pb::ListPaymentsRequest) -> Listed {
    let page = client(by).list_payments(by.request(message)).await?.into_inner();
    let listed = page.payments.into_iter().map(|it| (it.user_id, it.payment.expect("a payment")));
    let listed = listed.map(|(user, it)| {
        assert_eq!(it.next_action, None, "it is for the fan alone");
        (user, it.payment_id)
    });
    Ok((listed.collect(), page.next_page_token))
}

async fn support_lists_what_all_fans_hold_and_paid(world: World) {
    let support = world.user(0, Role::Support).await;
    let (performance, another) = (world.performance(None).await, world.performance(None).await);
    let (fan, other) = (world.fan(0).await, world.fan(0).await);
    let (of_fan, of_other) = (fan.user.to_string(), other.user.to_string());
    let account = world.ports.users.find(fan.user).await.expect("the store answers").expect("an account");
    let email = account.user.email.as_str().to_uppercase();
    fan.top_up(24_000).await.expect("topped up");
    let bought = fan.hold(performance, &["S-A-1"]).await.expect("held").reservation_id;
    let paid = fan.pay(&bought).await.expect("paid").payment_id;
    let elsewhere = fan.hold(another, &["S-A-1"]).await.expect("held").reservation_id;
    let held = other.hold(performance, &["S-A-2"]).await.expect("held").reservation_id;
    let waiting = other.pay_by_card(&held, NEEDS_ACTION).await.expect("an answer").payment_id;
    let of = async |message: pb::ListReservationsRequest| {
        let (mut listed, next) = reservations_of_all(&support, message).await.expect("a list");
        assert_eq!(next, "");
        listed.sort();
        listed
    };
    let at_performance =
        || pb::ListReservationsRequest { performance_id: performance.to_string(), ..Default::default() };
    let mut both = [(of_fan.clone(), bought.clone()), (of_other.clone(), held.clone())];
    both.sort();
    assert_eq!(of(at_performance()).await, both);
    let confirmed = vec![ReservationState::Confirmed.into()];
    assert_eq!(
        of(pb::ListReservationsRequest { states: confirmed, ..at_performance() }).await,
        [of_user(&of_fan, &bought)]
    );
    for by_fan in [
        pb::ListReservationsRequest { email: email.clone(), ..at_performance() },
        pb::ListReservationsRequest { user_id: of_fan.clone(), ..at_performance() },
    ] {
        assert_eq!(of(by_fan.clone()).await, [of_user(&of_fan, &bought)]);
        let everywhere = of(pb::ListReservationsRequest { performance_id: String::new(), ..by_fan }).await;
        let mut expected = [of_user(&of_fan, &bought), of_user(&of_fan, &elsewhere)];
        expected.sort();
        assert_eq!(everywhere, expected);
    }
    let now = prost_types::Timestamp::from(std::time::SystemTime::from(world.now()));
    let later = Some(prost_types::Timestamp { seconds: now.seconds + 3_600, ..now });
    assert_eq!(of(pb::ListReservationsRequest { since: later, ..at_performance() }).await, []);
    assert_eq!(of(pb::ListReservationsRequest { until: later, ..at_performance() }).await, both);

    let one = |page_token: String| pb::ListReservationsRequest { page_size: 1, page_token, ..at_performance() };
    let (first, token) = reservations_of_all(&support, one(String::new())).await.expect("a page");
    let (second, end) = reservations_of_all(&support, one(token.clone())).await.expect("a page");
    let mut paged = [first, second].concat();
    paged.sort();
    assert_eq!((paged.as_slice(), end.as_str()), (both.as_slice(), ""));
    let reused = pb::ListReservationsRequest { user_id: of_fan.clone(), ..one(token) };
    assert_eq!(
        violated_fields(&reservations_of_all(&support, reused).await.expect_err("another list")),
        ["page_token"]
    );

    let payments = async |states: &[PaymentState], user_id: &str, performance_id: String| {
        let states = states.iter().map(|state| (*state).into()).collect();
        let message = pb::ListPaymentsRequest { states, user_id: user_id.into(), performance_id, ..Default::default() };
        let (mut listed, _) = payments_of_all(&support, message).await.expect("a list");
        listed.sort();
        listed
    };
    let mut all = [of_user(&of_fan, &paid), of_user(&of_other, &waiting)];
    all.sort();
    assert_eq!(payments(&[], "", performance.to_string()).await, all);
    assert_eq!(
        payments(&[PaymentState::NeedsAction], "", performance.to_string()).await,
        [of_user(&of_other, &waiting)]
    );
    assert_eq!(payments(&[PaymentState::Paid], &of_other, performance.to_string()).await, []);
    assert_eq!(payments(&[PaymentState::Paid], &of_fan, String::new()).await, [of_user(&of_fan, &paid)]);
    assert_eq!(payments(&[], "", request_id()).await, [], "an ID that no performance has");
}

fn of_user(user: &str, id: &str) -> (String, String) {
    (user.to_owned(), id.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn support_lists_what_all_fans_hold_and_paid_durable() {
    support_lists_what_all_fans_hold_and_paid(World::durable(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn support_lists_what_all_fans_hold_and_paid_embedded() {
    support_lists_what_all_fans_hold_and_paid(World::embedded().await).await;
}

async fn lists_over_all_fans_say_what_is_wrong(world: World) {
    let (support, fan) = (world.user(0, Role::Support).await, world.fan(0).await);
    let second = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let violated = async |message: pb::ListReservationsRequest| {
        let same = pb::ListPaymentsRequest {
            email: message.email.clone(),
            user_id: message.user_id.clone(),
            performance_id: message.performance_id.clone(),
            states: message.states.clone(),
            since: message.since,
            until: message.until,
            page_size: message.page_size,
            page_token: message.page_token.clone(),
        };
        let fields = violated_fields(&reservations_of_all(&support, message).await.expect_err("a violation"));
        assert_eq!(violated_fields(&payments_of_all(&support, same).await.expect_err("a violation")), fields);
        fields
    };
    let of_fan = || pb::ListReservationsRequest { user_id: fan.user.to_string(), ..Default::default() };
    assert_eq!(violated(pb::ListReservationsRequest::default()).await, ["performance_id"]);
    assert_eq!(violated(pb::ListReservationsRequest { email: "a@example.com".into(), ..of_fan() }).await, ["user_id"]);
    assert_eq!(
        violated(pb::ListReservationsRequest { performance_id: "x".into(), ..of_fan() }).await,
        ["performance_id"]
    );
    assert_eq!(violated(pb::ListReservationsRequest { email: "x".into(), ..Default::default() }).await, ["email"]);
    assert_eq!(
        violated(pb::ListReservationsRequest { states: vec![3, 3, 99], ..of_fan() }).await,
        ["states[1]", "states[2]"]
    );
    assert_eq!(
        violated(pb::ListReservationsRequest { since: second(7), until: second(7), ..of_fan() }).await,
        ["until"]
    );
    assert_eq!(violated(pb::ListReservationsRequest { page_size: 101, ..of_fan() }).await, ["page_size"]);
    assert_eq!(violated(pb::ListReservationsRequest { page_token: "x".into(), ..of_fan() }).await, ["page_token"]);

    let unknown = pb::ListReservationsRequest { email: "nobody@example.com".into(), ..Default::default() };
    assert_eq!(reason(&reservations_of_all(&support, unknown).await.expect_err("nobody")), "NOT_FOUND");
    let unknown = pb::ListPaymentsRequest { email: "nobody@example.com".into(), ..Default::default() };
    assert_eq!(reason(&payments_of_all(&support, unknown).await.expect_err("nobody")), "NOT_FOUND");
    let own = pb::ListPaymentsRequest { user_id: fan.user.to_string(), ..Default::default() };
    assert_eq!(reason(&reservations_of_all(&fan, of_fan()).await.expect_err("a fan")), "ROLE_NOT_ALLOWED");
    assert_eq!(reason(&payments_of_all(&fan, own).await.expect_err("a fan")), "ROLE_NOT_ALLOWED");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_over_all_fans_say_what_is_wrong_durable() {
    lists_over_all_fans_say_what_is_wrong(World::durable(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_over_all_fans_say_what_is_wrong_embedded() {
    lists_over_all_fans_say_what_is_wrong(World::embedded().await).await;
}

/// The ids of the reservations and of the payments of a user, as staff see them.
async fn records(by: &Fan, user_id: &str) -> (Vec<String>, Vec<String>) {
    let reservations = pb::ListReservationsRequest { user_id: user_id.into(), ..Default::default() };
    let payments = pb::ListPaymentsRequest { user_id: user_id.into(), ..Default::default() };
    let (reservations, _) = reservations_of_all(by, reservations).await.expect("reservations");
    let (payments, _) = payments_of_all(by, payments).await.expect("payments");
    let ids = |listed: Vec<(String, String)>| listed.into_iter().map(|(_, id)| id).collect();
    (ids(reservations), ids(payments))
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
