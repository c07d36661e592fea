//! One process serves calls, and another does the rest of the work.

use std::time::Duration;

use encore_domain::booking::ReservationState;
use encore_domain::catalog::Performance;
use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::queue::Queue;
use encore_port_tests::fixtures;
use encore_proto::payment::v1::PaymentState;
use encore_tests::world::until;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::Fixture;

/// What a process says of its own health.
async fn health(channel: &Channel) -> Option<ServingStatus> {
    let asked = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    asked.ok().map(|answer| answer.into_inner().status())
}

/// A performance with a queue, whose holds end soon.
async fn queued_performance(fixture: &Fixture) -> PerformanceId {
    let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
    let sale = Performance {
        hold_for: Duration::from_secs(5),
        has_queue: true,
        ..fixture.on_sale(fixtures::performance(concert.id, venue.id))
    };
    let id = sale.id;
    fixture.ports.catalog.add_venue(venue, None).await.expect("a new venue");
    fixture.ports.catalog.add_concert(concert, None).await.expect("a new concert");
    fixture.ports.catalog.add_performance(sale, Some(Queue::default()), None).await.expect("a new performance");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_serves_and_another_works() {
    let fixture = Fixture::new(None).await;
    let performance = queued_performance(&fixture).await;
    let (_api, channel) = fixture.instance_with(&[("ENCORE_ROLES", "api")]).await;
    let (_worker, of_worker) = fixture.instance_with(&[("ENCORE_ROLES", "worker,notifier")]).await;
    for channel in [&channel, &of_worker] {
        until("a healthy process", || async { health(channel).await == Some(ServingStatus::Serving) }).await;
    }

    // Fans are admitted, pay and lose their holds although the process that serves them does none of that.
    let mut buyer = fixture.fan(&channel).await;
    buyer.enter(performance).await.expect("it is admitted");
    let hold = buyer.hold(performance, &["S-A-1"]).await.expect("a hold");
    let paid = buyer.pay_by_card(&hold.reservation_id, "pm_card_visa").await.expect("it is paid");
    assert_eq!(paid.state(), PaymentState::Paid);
    until("the capture", || async { fixture.stripe.statement().0 == ["succeeded"] }).await;

    let mut idler = fixture.fan(&channel).await;
    idler.enter(performance).await.expect("it is admitted");
    let hold = idler.hold(performance, &["S-A-2"]).await.expect("a hold");
    let held: ReservationId = hold.reservation_id.parse().expect("an id");
    until("the end of the hold", || async {
        let found = fixture.ports.reservations.find(held).await.expect("Postgres is available");
        found.is_some_and(|hold| hold.state == ReservationState::Expired)
    })
    .await;
    until("the seat to be free", || async { idler.hold(performance, &["S-A-2"]).await.is_ok() }).await;

    let refused = buyer.on(&of_worker).reservation(&hold.reservation_id).await.expect_err("it serves no calls");
    assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
    fixture.assert_right(&[]).await;
}
