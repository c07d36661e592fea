//! Fans who exist for a rehearsal.

use encore_grpc::GuardedRpcs;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{GetMeRequest, LogInRequest};
use encore_proto::rehearsal::v1::rehearsal_service_client::RehearsalServiceClient;
use encore_proto::rehearsal::v1::rehearsal_service_server::SERVICE_NAME;
use encore_proto::rehearsal::v1::{AddRehearsalFansRequest, RehearsalFan};
use encore_server::encore::Encore;
use encore_tests::fan::{Fan, reason, violated_fields};
use encore_tests::in_memory::Instance;
use encore_tests::world::World;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

async fn add(caller: &Fan, count: u32) -> Result<Vec<RehearsalFan>, Status> {
    let request = caller.request(AddRehearsalFansRequest { count });
    let added = RehearsalServiceClient::new(caller.channel.clone()).add_rehearsal_fans(request).await?;
    Ok(added.into_inner().fans)
}

/// Whether reflection lists the service.
async fn has_service(caller: &Fan) -> bool {
    let list = Some(MessageRequest::ListServices(String::new()));
    let question = ServerReflectionRequest { host: String::new(), message_request: list };
    let mut reflection = ServerReflectionClient::new(caller.channel.clone());
    let answers = reflection.server_reflection_info(tokio_stream::iter([question])).await.expect("answers");
    let answer = answers.into_inner().message().await.expect("an answer").and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(services)) = answer else { panic!("no list: {answer:?}") };
    services.service.iter().any(|service| service.name == SERVICE_NAME)
}

#[tokio::test(flavor = "multi_thread")]
async fn rehearsal_fans_can_buy_but_never_log_in() {
    let world = World::durable(1).await;
    let encore = Encore::new(world.ports.clone(), GuardedRpcs::default()).allowing_rehearsals();
    let rehearsal = Instance::start(encore).await;
    let operator = world.operator().await.on(&rehearsal.channel);
    let performance = world.performance(None).await;

    let added = add(&operator, 300).await.expect("fans");
    assert_eq!(added.len(), 300);
    let made_up = &added[299];
    let fan = Fan { access_token: made_up.access_token.clone(), ..operator.clone() };
    fan.top_up(50_000).await.expect("a credit");
    let hold = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    fan.pay(&hold.reservation_id).await.expect("a payment");

    let mut identity = IdentityServiceClient::new(rehearsal.channel.clone());
    let me = identity.get_me(fan.request(GetMeRequest {})).await.expect("a user").into_inner().user.expect("a user");
    assert_eq!(me.user_id, made_up.user_id);
    for password in ["!!!!!!!!", "correct horse"] {
        let message = LogInRequest { email: me.email.clone(), password: password.into(), ..LogInRequest::default() };
        assert_eq!(reason(&identity.log_in(message).await.expect_err("no password is theirs")), "LOG_IN_FAILED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fans_are_made_only_by_operators_where_it_is_allowed_and_a_bounded_number_at_a_time() {
    let world = World::embedded().await;
    let operator = world.operator().await;
    assert_eq!(add(&operator, 1).await.expect_err("not allowed by default").code(), Code::Unimplemented);
    assert!(!has_service(&operator).await, "it is not in reflection");

    let encore = Encore::new(world.ports.clone(), GuardedRpcs::default()).allowing_rehearsals();
    let rehearsal = Instance::start(encore).await;
    assert!(has_service(&operator.on(&rehearsal.channel)).await, "it is in reflection where it is allowed");
    let refusal = add(&world.fan(0).await.on(&rehearsal.channel), 1).await.expect_err("not a fan's to do");
    assert_eq!((refusal.code(), reason(&refusal)), (Code::PermissionDenied, "ROLE_NOT_ALLOWED".into()));
    for count in [0, 5_001, u32::MAX] {
        let refusal = add(&operator.on(&rehearsal.channel), count).await.expect_err("out of bounds");
        assert_eq!(violated_fields(&refusal), ["count"]);
    }
}
