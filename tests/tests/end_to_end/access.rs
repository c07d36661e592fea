//! Every RPC of the contract refuses callers who may not call it.

use encore_domain::identity::Role;
use encore_proto::FILE_DESCRIPTOR_SET;
use encore_proto::common::v1::{Access, CallerKind};
use encore_tests::fan::{Fan, reason};
use encore_tests::world::World;
use prost::Message;
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

/// The descriptors with the option of Encore, which the types of `prost-types` drop.
#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    service: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    options: Option<Options>,
    #[prost(bool, tag = "6")]
    server_streaming: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(message, optional, tag = "51900")]
    access: Option<Access>,
}

struct Rpc {
    /// Such as `/encore.queue.v1.QueueService/JoinQueue`.
    path: String,
    /// Whether it answers with a stream.
    is_stream: bool,
    /// Who may call it, as the contract says.
    callers: Vec<CallerKind>,
}

impl Rpc {
    fn is_public(&self) -> bool {
        self.callers.contains(&CallerKind::Anybody)
    }

    fn is_for(&self, role: Role) -> bool {
        let kind = match role {
            Role::Fan => CallerKind::Fan,
            Role::Support => CallerKind::Support,
            Role::BoxOffice => CallerKind::BoxOffice,
            Role::Operator => CallerKind::Operator,
            Role::Auditor => CallerKind::Auditor,
            Role::CheckIn => CallerKind::CheckIn,
        };
        self.callers.iter().any(|caller| [kind, CallerKind::SignedIn].contains(caller))
    }
}

fn rpcs() -> Vec<Rpc> {
    let mut rpcs = Vec::new();
    for File { package, service } in Files::decode(FILE_DESCRIPTOR_SET).expect("descriptors").file {
        for Service { name, method } in service.into_iter().filter(|_| package.starts_with("encore.")) {
            rpcs.extend(method.into_iter().map(|method| Rpc {
                path: format!("/{package}.{name}/{}", method.name),
                is_stream: method.server_streaming,
                callers: method.options.unwrap_or_default().access.unwrap_or_default().callers().collect(),
            }));
        }
    }
    rpcs
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
    let (rpcs, of_a_caller) = (rpcs(), ["CREDENTIALS_MISSING", "CREDENTIALS_INVALID", "ROLE_NOT_ALLOWED"]);
    let mut public: Vec<&str> = rpcs.iter().filter(|rpc| rpc.is_public()).map(|rpc| rpc.path.as_str()).collect();
    public.sort_unstable();
    let named: Vec<&str> = public.iter().filter_map(|path| Some(path.rsplit_once('.')?.1)).collect();
    assert_eq!(named, PUBLIC);
    assert!(rpcs.len() >= 60, "{}", rpcs.len());
    for rpc in rpcs {
        let path = &rpc.path;
        assert!(!rpc.callers.is_empty(), "{path} says who may call it");
        let stranger = refusal(channel, path, None).await;
        let forger = refusal(channel, path, Some("e30.e30.c2ln")).await;
        if rpc.is_public() {
            assert!(!of_a_caller.contains(&stranger.as_str()), "{path}: {stranger}");
            assert_eq!(forger, stranger, "{path}: a token is ignored");
            continue;
        }
        assert_eq!((stranger.as_str(), forger.as_str()), ("CREDENTIALS_MISSING", "CREDENTIALS_INVALID"), "{path}");
        for (role, user) in &users {
            // A stream that is taken may not end.
            if rpc.is_for(*role) && rpc.is_stream {
                continue;
            }
            let refused = refusal(channel, path, Some(&user.access_token)).await;
            if rpc.is_for(*role) {
                assert!(!of_a_caller.contains(&refused.as_str()), "{path}: {role:?} is refused with {refused}");
            } else {
                assert_eq!(refused, "ROLE_NOT_ALLOWED", "{path}: {role:?}");
            }
        }
    }
}
