//! One booking, from sign-up to the confirmed reservation.

use encore_domain::queue::QueueSettings;
use encore_proto::booking::v1::{ListReservationsRequest, ReservationState};
use encore_proto::catalog::v1::{ListConcertsRequest, ListPerformancesRequest, SeatStatus};
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{GetMeRequest, LogInRequest, SignUpRequest};
use encore_proto::payment::v1::{GetPaymentRequest, ListPaymentsRequest};
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_proto::queue::v1::{EndReason, GetPositionRequest};
use encore_proto::wallet::v1::ListLedgerEntriesRequest;
use encore_tests::fan::Fan;
use encore_tests::ledger;
use encore_tests::world::World;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_books_two_seats_on_two_instances_in_turn() {
    let world = World::durable(2).await;
    book(&world).await;
    ledger::assert_conserved(world.database()).await;
    assert_eq!(ledger::events(world.database(), "booking.reservation_confirmed").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_books_two_seats_on_a_redis_cluster() {
    let world = World::on_cluster(2).await;
    book(&world).await;
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_books_two_seats_without_redis() {
    let world = World::without_redis().await;
    book(&world).await;
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_books_two_seats_on_the_embedded_stores() {
    book(&World::embedded().await).await;
}

/// The walk of the README, with each step on the instance whose turn it is.
async fn book(world: &World) {
    let performance = world.performance(Some(QueueSettings::default())).await;
    let mut turns = (0..).map(|turn| world.channel(turn).clone());
    let mut next = move || turns.next().expect("an endless iterator");

    let sign_up = SignUpRequest {
        request_id: String::new(),
        email: "Ada@Example.com".into(),
        password: "correct horse".into(),
        display_name: "Ada".into(),
        ..SignUpRequest::default()
    };
    let signed_up = IdentityServiceClient::new(next()).sign_up(sign_up).await.expect("a new user").into_inner();
    let user = signed_up.user.expect("a user");
    assert_eq!(user.email, "ada@example.com");
    let log_in =
        LogInRequest { email: "ada@example.com".into(), password: "correct horse".into(), ..LogInRequest::default() };
    let session = IdentityServiceClient::new(next()).log_in(log_in).await.expect("a session").into_inner();
    let mut fan = Fan {
        user: Uuid::parse_str(&user.user_id).expect("a UUID").into(),
        access_token: session.access_token,
        queue_token: String::new(),
        channel: next(),
    };
    let me = IdentityServiceClient::new(next()).get_me(fan.request(GetMeRequest {})).await.expect("me").into_inner();
    assert_eq!(me.user, Some(user));

    let concerts = fan.on(&next()).catalog().list_concerts(ListConcertsRequest::default()).await.expect("concerts");
    let concert = concerts.into_inner().concerts.pop().expect("a concert");
    let message = ListPerformancesRequest { concert_id: concert.concert_id, ..Default::default() };
    let listed = fan.on(&next()).catalog().list_performances(message).await.expect("performances").into_inner();
    let offered = listed.performances.first().expect("a performance");
    assert_eq!((offered.seats_total, offered.seats_left, offered.has_queue), (26, 26, true));
    assert_eq!(offered.performance_id, performance.to_string());

    let positions = fan.on(&next()).enter(performance).await.expect("admitted");
    assert!(positions.iter().all(|position| *position == 1), "alone in the queue: {positions:?}");
    fan.channel = next();
    fan.join(performance).await.expect("the same token again");
    assert!(matches!(fan.on(&next()).position().await.expect("a position"), QueueStatus::Admitted(_)));

    let seats = fan.on(&next()).seats(performance).await.expect("seats");
    assert!(seats.iter().all(|seat| seat.status() == SeatStatus::Free));
    let reservation = fan.on(&next()).hold(performance, &["S-A-2", "S-A-1"]).await.expect("a hold");
    assert_eq!(reservation.state(), ReservationState::Held);
    assert_eq!(reservation.total.as_ref().map(|total| total.amount_minor), Some(24_000));
    let labels: Vec<_> = reservation.seats.iter().map(|seat| seat.label.as_str()).collect();
    assert_eq!(labels, ["A-1", "A-2"], "in the order of the chart");

    let entry = fan.on(&next()).top_up(30_000).await.expect("a credit");
    assert_eq!(entry.balance_after.map(|balance| balance.amount_minor), Some(30_000));
    let payment = fan.on(&next()).pay(&reservation.reservation_id).await.expect("a payment");
    assert_eq!(fan.on(&next()).balance().await.expect("a balance"), 6_000);

    let confirmed = fan.on(&next()).reservation(&reservation.reservation_id).await.expect("the reservation");
    assert_eq!(confirmed.state(), ReservationState::Confirmed);
    assert_eq!(confirmed.payment_id, payment.payment_id);
    let message = GetPaymentRequest { payment_id: payment.payment_id.clone() };
    let read = fan.on(&next()).payment().get_payment(fan.request(message)).await.expect("the payment").into_inner();
    assert_eq!(read.payment.as_ref(), Some(&payment));

    let message = fan.request(ListReservationsRequest::default());
    let listed = fan.on(&next()).booking().list_reservations(message).await.expect("reservations").into_inner();
    assert_eq!(listed.reservations, [confirmed]);
    let message = fan.request(ListPaymentsRequest::default());
    let listed = fan.on(&next()).payment().list_payments(message).await.expect("payments").into_inner();
    assert_eq!(listed.payments, [payment]);
    let message = fan.request(ListLedgerEntriesRequest::default());
    let listed = fan.on(&next()).wallet().list_ledger_entries(message).await.expect("entries").into_inner();
    let amounts: Vec<_> = listed.entries.iter().filter_map(|it| it.amount.as_ref()).map(|it| it.amount_minor).collect();
    assert_eq!(amounts, [-24_000, 30_000], "newest first");

    let message = fan.request(GetPositionRequest { queue_token: fan.queue_token.clone() });
    let ended = fan.on(&next()).queue().get_position(message).await.expect("a position").into_inner();
    let status = ended.status.and_then(|status| status.status);
    assert!(matches!(status, Some(QueueStatus::Ended(ended)) if ended.reason() == EndReason::Used));
}
