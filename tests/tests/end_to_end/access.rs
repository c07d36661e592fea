//! Every RPC of the contract refuses callers who may not call it.

use encore_proto::FILE_DESCRIPTOR_SET;
use encore_tests::fan::reason;
use encore_tests::world::World;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// Who needs no access token. Whoever adds an RPC here has decided that strangers may call it.
const PUBLIC: [&str; 10] = [
    "CatalogService/GetConcert",
    "CatalogService/GetSeatChart",
    "CatalogService/ListConcerts",
    "CatalogService/ListPerformances",
    "IdentityService/LogIn",
    "IdentityService/RefreshSession",
    "IdentityService/RequestPasswordReset",
    "IdentityService/ResetPassword",
    "IdentityService/SignUp",
    "QueueService/GetDraw",
];
/// The packages of operators.
const OPERATORS: [&str; 2] = ["/encore.admin.v1.", "/encore.events.v1."];

/// The paths of all RPCs, such as `/encore.queue.v1.QueueService/JoinQueue`, and whether each answers with a stream.
fn rpcs() -> Vec<(String, bool)> {
    let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("descriptors").file;
    let mut paths = Vec::new();
    for file in files.iter().filter(|file| file.package().starts_with("encore.")) {
        for service in &file.service {
            let path = |rpc: &str| format!("/{}.{}/{rpc}", file.package(), service.name());
            paths.extend(service.method.iter().map(|rpc| (path(rpc.name()), rpc.server_streaming())));
        }
    }
    paths
}

/// Sends an empty message, and returns why it was refused.
async fn refusal(channel: &Channel, path: &str, access_token: Option<&str>) -> String {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.expect("a connection");
    let mut request = Request::new(());
    if let Some(token) = access_token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    }
    let path: PathAndQuery = path.parse().expect("a path");
    let answer: Result<_, Status> = client.unary(request, path, ProstCodec::<(), ()>::default()).await;
    answer.map_or_else(|status| reason(&status), |_| "none".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_refuses_who_may_not_call_it() {
    let world = World::embedded().await;
    let (channel, fan, operator) = (world.channel(0), world.fan(0).await, world.operator().await);
    let (rpcs, of_a_caller) = (rpcs(), ["CREDENTIALS_MISSING", "CREDENTIALS_INVALID", "OPERATOR_ONLY"]);
    assert!(rpcs.len() >= 50 && PUBLIC.iter().all(|public| rpcs.iter().any(|(rpc, _)| rpc.ends_with(public))));
    for (rpc, is_stream) in rpcs {
        let is_public = PUBLIC.iter().any(|public| rpc.ends_with(public));
        let stranger = refusal(channel, &rpc, None).await;
        let forger = refusal(channel, &rpc, Some("e30.e30.c2ln")).await;
        if is_public {
            assert!(!of_a_caller.contains(&stranger.as_str()), "{rpc}: {stranger}");
            assert_eq!(forger, stranger, "{rpc}: a token is ignored");
            continue;
        }
        assert_eq!((stranger.as_str(), forger.as_str()), ("CREDENTIALS_MISSING", "CREDENTIALS_INVALID"), "{rpc}");
        let of_operators = OPERATORS.iter().any(|package| rpc.starts_with(package));
        // A stream that is taken may not end.
        if of_operators || !is_stream {
            let by_fan = refusal(channel, &rpc, Some(&fan.access_token)).await;
            assert_eq!(by_fan == "OPERATOR_ONLY", of_operators, "{rpc}: {by_fan}");
        }
        if is_stream {
            continue;
        }
        let by_operator = refusal(channel, &rpc, Some(&operator.access_token)).await;
        assert!(!of_a_caller.contains(&by_operator.as_str()), "{rpc}: {by_operator}");
    }
}
