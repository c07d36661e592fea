//! Lanes and lane grants.

use std::time::Duration;

use encore_domain::ids::PerformanceId;
use encore_domain::queue::{Lane, LaneName, Lanes, QueueRate, QueueSettings};
use encore_proto::admin::v1::GrantLaneRequest;
use encore_proto::queue::v1::EndReason;
use encore_proto::queue::v1::queue_status::Status as QueueStatus;
use encore_tests::fan::{Fan, reason, violated_fields};
use encore_tests::world::{World, until};
use tonic::Status;

/// Settings with two lanes and no admission. The fan club has three times the weight of the general lane.
fn with_a_club() -> QueueSettings {
    let lane = |name, weight| Lane::new(LaneName::parse(name).expect("a name"), weight).expect("a lane");
    let lanes = Lanes::new(vec![lane("general", 1), lane("fan-club", 3)]).expect("lanes");
    QueueSettings { paused: true, lanes, ..QueueSettings::default() }
}

async fn grant(operator: &Fan, performance: PerformanceId, fan: &Fan, lane: &str) -> Result<String, Status> {
    let message = GrantLaneRequest {
        performance_id: performance.to_string(),
        user_id: fan.user.to_string(),
        lane: lane.to_owned(),
        valid_for: None,
    };
    Ok(operator.admin().grant_lane(operator.request(message)).await?.into_inner().lane_grant)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_lane_is_called_by_its_weight() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let performance = world.performance(Some(with_a_club())).await;
    let (mut general, mut club) = (Vec::new(), Vec::new());
    for turn in 0..4 {
        let mut fan = world.fan(turn).await;
        assert_eq!(fan.join_with(performance, "").await.expect("a queue token").lane, "general");
        general.push(fan);
    }
    for turn in 0..6 {
        let mut fan = world.fan(turn).await;
        let lane_grant = grant(&operator, performance, &fan, "fan-club").await.expect("a grant");
        let joined = fan.join_with(performance, &lane_grant).await.expect("a queue token");
        assert_eq!((joined.lane.as_str(), joined.join_index), ("fan-club", turn as u64 + 1));
        club.push(fan);
    }
    let position = club[5].position().await.expect("a status");
    assert!(matches!(position, QueueStatus::Waiting(waiting) if waiting.position == 6 && waiting.people_waiting == 10));

    let rate = QueueRate { admissions: 1, period: Duration::from_hours(1) };
    let open = encore_domain::queue::QueuePatch {
        paused: Some(false),
        rate: Some(rate),
        batch: Some(8),
        ..Default::default()
    };
    world.ports.catalog.patch_queue(performance, open, None).await.expect("settings");
    let inside = async |fans: &[Fan]| {
        let mut inside = 0;
        for fan in fans {
            inside += usize::from(matches!(fan.position().await, Ok(QueueStatus::Admitted(_))));
        }
        inside
    };
    until("eight called or active fans", || async { inside(&general).await + inside(&club).await == 8 }).await;
    assert_eq!((inside(&general).await, inside(&club).await), (2, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_valid_for_its_fan_performance_and_period() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let (here, there) = (world.performance(Some(with_a_club())).await, world.performance(Some(with_a_club())).await);
    let (mut fan, mut other) = (world.fan(0).await, world.fan(1).await);
    let lane_grant = grant(&operator, here, &fan, "fan-club").await.expect("a grant");
    for refused in [
        other.join_with(here, &lane_grant).await,
        fan.join_with(there, &lane_grant).await,
        fan.join_with(here, "forged").await,
        fan.join_with(here, &fan.access_token.clone()).await,
    ] {
        assert_eq!(reason(&refused.expect_err("an invalid grant")), "LANE_GRANT_INVALID");
    }
    assert_eq!(fan.join(here).await.expect("a token of the general lane"), 1);
    let before = fan.queue_token.clone();
    let moved = fan.join_with(here, &lane_grant).await.expect("a token of the fan club");
    assert_eq!((moved.lane.as_str(), moved.join_index), ("fan-club", 1));
    let old = fan.showing(&before).position().await.expect("a status");
    assert!(matches!(old, QueueStatus::Ended(ended) if ended.reason() == EndReason::Replaced), "{old:?}");

    world.clock.advance(Duration::from_hours(24));
    let late = other.join_with(here, &lane_grant).await.expect_err("an expired grant");
    assert!(["LANE_GRANT_INVALID", "SALE_CLOSED"].contains(&reason(&late).as_str()), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_lanes_and_grants_by_fans_are_refused() {
    let world = World::embedded().await;
    let operator = world.operator().await;
    let performance = world.performance(Some(with_a_club())).await;
    let fan = world.fan(0).await;
    let unknown = grant(&operator, performance, &fan, "sponsors").await.expect_err("no such lane");
    assert_eq!(violated_fields(&unknown), ["lane"]);
    let malformed = grant(&operator, performance, &fan, "Fan Club!").await.expect_err("no name");
    assert_eq!(violated_fields(&malformed), ["lane"]);
    let by_a_fan = grant(&fan, performance, &fan, "fan-club").await.expect_err("a fan");
    assert_eq!(reason(&by_a_fan), "ROLE_NOT_ALLOWED");
    let stranger = Fan { user: encore_port_tests::fixtures::id(), ..fan };
    let unknown = grant(&operator, performance, &stranger, "fan-club").await.expect_err("an unknown user");
    assert_eq!(reason(&unknown), "NOT_FOUND");
}
