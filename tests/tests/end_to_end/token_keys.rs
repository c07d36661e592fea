//! The keys of access tokens on several instances: a file that is replaced, and the keys that are published.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use encore_credentials::{Keyring, SignedAccessTokens, ed25519_key_text};
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use encore_grpc::GuardedRpcs;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{GetMeRequest, LogInRequest, SignUpRequest};
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_server::roles::Roles;
use encore_server::token_keys::ReloadedTokenKeys;
use encore_tests::clock::TestClock;
use encore_tests::fan::{reason, request_id};
use encore_tests::in_memory::Instance;
use encore_tests::world::{World, embedded_ports};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Request, Status};

const SECRET: &str = "k1:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";
const EMAIL: &str = "zoe@example.com";
const PASSWORD: &str = "correct horse";
const MINUTE: Duration = Duration::from_mins(1);

/// A file of keys in a folder of its own, which goes with this.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(test: &str, keys: &[String]) -> Self {
        let folder = std::env::temp_dir().join(format!("encore-keys-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let file = Self(folder.join("token-keys"));
        file.write(keys);
        file
    }

    fn write(&self, keys: &[String]) {
        fs::write(&self.0, format!("{SECRET}\n{}\n", keys.join("\n"))).expect("a file");
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().expect("a folder"));
    }
}

/// A key that signs from this time.
fn key(id: &str, byte: u8, signs_from: Timestamp) -> String {
    ed25519_key_text(id, &[byte; 32], signs_from).expect("an id")
}

/// An instance that has read a file of keys, and reads it again when it is told to.
struct Reading {
    instance: Instance,
    keys: ReloadedTokenKeys,
}

impl Reading {
    /// On the stores and the clock of these ports.
    async fn start(ports: &Ports, file: &KeyFile) -> Self {
        let keyring = Keyring::parse(&fs::read_to_string(&file.0).expect("a file")).expect("keys");
        let access_tokens = Arc::new(SignedAccessTokens::new(keyring.clone()));
        let ports = Ports { access_tokens, ..ports.clone() };
        let instance = Instance::start(Encore::new(ports, GuardedRpcs::default())).await;
        Self { instance, keys: ReloadedTokenKeys::new(file.0.clone(), keyring) }
    }

    fn identity(&self) -> IdentityServiceClient<tonic::transport::Channel> {
        IdentityServiceClient::new(self.instance.channel.clone())
    }

    async fn log_in(&self) -> String {
        let message = LogInRequest { email: EMAIL.into(), password: PASSWORD.into(), ..LogInRequest::default() };
        self.identity().log_in(message).await.expect("a session").into_inner().access_token
    }

    async fn get_me(&self, access_token: &str) -> Result<(), Status> {
        let mut request = Request::new(GetMeRequest {});
        request.metadata_mut().insert("authorization", format!("Bearer {access_token}").parse().expect("ASCII"));
        self.identity().get_me(request).await.map(drop)
    }

    async fn refuses(&self, access_token: &str) -> bool {
        self.get_me(access_token).await.err().is_some_and(|refusal| reason(&refusal) == "CREDENTIALS_INVALID")
    }

    async fn publishes(&self, key_id: &str) -> bool {
        key_set(&self.instance, "GET").await.contains(&format!("\"kid\":\"{key_id}\""))
    }
}

/// The answer of an instance to a request for its keys.
async fn key_set(instance: &Instance, method: &str) -> String {
    let mut connection = instance.connect();
    let request = format!(
        "{method} /.well-known/jwks.json HTTP/1.1\r\nhost: encore\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).await.expect("the server reads");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("text");
    answer
}

async fn keys_are_rotated_on_running_instances(ports: Ports, clock: Arc<TestClock>) {
    let (old, new) = (key("a1", 1, clock.now() - MINUTE), key("a2", 2, clock.now() + MINUTE));
    let file = KeyFile::new(&request_id(), std::slice::from_ref(&old));
    let (mut here, mut there) = (Reading::start(&ports, &file).await, Reading::start(&ports, &file).await);
    let sign_up = SignUpRequest {
        request_id: request_id(),
        email: EMAIL.into(),
        password: PASSWORD.into(),
        display_name: "Zoë".into(),
        ..SignUpRequest::default()
    };
    here.identity().sign_up(sign_up).await.expect("a new user");
    let of_old = here.log_in().await;
    there.get_me(&of_old).await.expect("the keys are the same");
    assert!(here.publishes("a1").await && !here.publishes("a2").await);

    // The new key is there before its time: it is published, and the old one signs.
    file.write(&[old.clone(), new.clone()]);
    here.keys.reload();
    assert!(here.publishes("a2").await && !there.publishes("a2").await);
    there.get_me(&here.log_in().await).await.expect("the old key signs");
    there.keys.reload();
    assert!(there.publishes("a2").await);

    // Its time has come.
    clock.advance(MINUTE);
    let of_new = here.log_in().await;
    there.get_me(&of_new).await.expect("the other instance has read the new key");
    there.get_me(&of_old).await.expect("the old key verifies");

    // The old key is removed.
    file.write(&[new]);
    here.keys.reload();
    assert!(here.refuses(&of_old).await);
    there.get_me(&of_old).await.expect("it has not read the file yet");
    there.keys.reload();
    assert!(there.refuses(&of_old).await);
    here.get_me(&of_new).await.expect("the new key verifies");

    // A file that cannot be read, and one that has no valid keys.
    file.write(&["a3:ed25519:half".to_owned()]);
    here.keys.reload();
    here.get_me(&of_new).await.expect("the keys before stay");
    fs::remove_file(&file.0).expect("the file is there");
    here.keys.reload();
    here.get_me(&here.log_in().await).await.expect("the keys before stay");
    file.write(&[key("a3", 3, clock.now())]);
    here.keys.reload();
    assert!(here.refuses(&of_new).await, "the next valid file is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_keys_are_rotated_on_running_instances() {
    let clock = Arc::new(TestClock::default());
    keys_are_rotated_on_running_instances(embedded_ports(Arc::clone(&clock)), clock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn durable_keys_are_rotated_on_running_instances() {
    let world = World::durable(1).await;
    keys_are_rotated_on_running_instances(world.ports.clone(), Arc::clone(&world.clock)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_keys_are_read_without_a_token_and_only_read() {
    let world = World::embedded().await;
    let answer = key_set(&world.instances[0], "GET").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    for part in ["application/jwk-set+json", "max-age=300", r#""kty":"OKP""#, r#""kid":"test.ed25519""#] {
        assert!(answer.contains(part), "{part} is missing from {answer}");
    }
    assert!(!answer.contains(r#""d":"#), "{answer}");
    for method in ["PUT", "DELETE"] {
        assert!(key_set(&world.instances[0], method).await.starts_with("HTTP/1.1 405 "), "{method}");
    }
    let roles: Roles = "worker".parse().expect("a role");
    let worker = World::embedded_as(|encore| encore.playing(roles)).await;
    assert!(
        key_set(&worker.instances[0], "GET").await.starts_with("HTTP/1.1 405 "),
        "it answers about its health alone"
    );
}
