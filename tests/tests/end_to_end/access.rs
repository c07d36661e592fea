//! Every RPC of the contract refuses callers who may not call it.

use encore_domain::identity::Role;
use encore_proto::FILE_DESCRIPTOR_SET;
use encore_proto::common::v1::CallerKind;
use encore_proto::contract::{Rpc, rpcs_of};
use encore_tests::fan::{Fan, reason};
use encore_tests::world::World;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// Who needs no access token. Whoever adds an RPC here has decided that strangers may call it.
const PUBLIC: [&str; 15] = [
    "CatalogService/GetConcert",
    "CatalogService/GetPerformance",
    "CatalogService/GetSeatChart",
    "CatalogService/GetVenue",
    "CatalogService/ListConcerts",
    "CatalogService/ListPerformances",
    "CatalogService/ListVenues",
    "IdentityService/LogIn",
    "IdentityService/RefreshSession",
    "IdentityService/RequestEmailVerification",
    "IdentityService/RequestPasswordReset",
    "IdentityService/ResetPassword",
    "IdentityService/SignUp",
    "IdentityService/VerifyEmail",
    "QueueService/GetDraw",
];

fn is_public(rpc: &Rpc) -> bool {
    rpc.callers.contains(&CallerKind::Anybody)
}

fn is_for(rpc: &Rpc, role: Role) -> bool {
    let kind = match role {
        Role::Fan => CallerKind::Fan,
        Role::Support => CallerKind::Support,
        Role::BoxOffice => CallerKind::BoxOffice,
        Role::Operator => CallerKind::Operator,
        Role::Auditor => CallerKind::Auditor,
        Role::CheckIn => CallerKind::CheckIn,
    };
    rpc.callers.iter().any(|caller| [kind, CallerKind::SignedIn].contains(caller))
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
    let channel = world.channel(0);
    let mut users: Vec<(Role, Fan)> = Vec::new();
    for role in Role::ALL {
        users.push((role, world.user(0, role).await));
    }
    let of_a_caller = ["CREDENTIALS_MISSING", "CREDENTIALS_INVALID", "ROLE_NOT_ALLOWED"];
    let rpcs = rpcs_of(FILE_DESCRIPTOR_SET).expect("descriptors");
    let mut public: Vec<String> = rpcs.iter().filter(|rpc| is_public(rpc)).map(Rpc::full_name).collect();
    public.sort_unstable();
    let named: Vec<&str> = public.iter().filter_map(|name| Some(name.rsplit_once('.')?.1)).collect();
    assert_eq!(named, PUBLIC);
    assert!(rpcs.len() >= 60, "{}", rpcs.len());
    for rpc in rpcs {
        let path = &rpc.path();
        assert!(!rpc.callers.is_empty(), "{path} says who may call it");
        let stranger = refusal(channel, path, None).await;
        let forger = refusal(channel, path, Some("e30.e30.c2ln")).await;
        if is_public(&rpc) {
            assert!(!of_a_caller.contains(&stranger.as_str()), "{path}: {stranger}");
            assert_eq!(forger, stranger, "{path}: a token is ignored");
            continue;
        }
        assert_eq!((stranger.as_str(), forger.as_str()), ("CREDENTIALS_MISSING", "CREDENTIALS_INVALID"), "{path}");
        for (role, user) in &users {
            // A stream that is taken may not end.
            if is_for(&rpc, *role) && rpc.is_stream {
                continue;
            }
            let refused = refusal(channel, path, Some(&user.access_token)).await;
            if is_for(&rpc, *role) {
                assert!(!of_a_caller.contains(&refused.as_str()), "{path}: {role:?} is refused with {refused}");
            } else {
                assert_eq!(refused, "ROLE_NOT_ALLOWED", "{path}: {role:?}");
            }
        }
    }
}
