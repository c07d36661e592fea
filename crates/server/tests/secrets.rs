//! Nothing that a sign-up and a log-in carry is logged, at any level.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use encore_domain::identity::Email;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{GetMeRequest, LogInRequest, RefreshSessionRequest, SignUpRequest};
use encore_server::telemetry::{LogFormat, init_with};
use encore_tests::fan::request_id;
use encore_tests::world::World;
use tonic::Request;

#[derive(Clone, Default)]
struct LogLines(Arc<Mutex<Vec<u8>>>);

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_level_prints_what_a_sign_up_and_a_log_in_carry() {
    let lines = LogLines::default();
    let writer = lines.clone();
    // The names of the drivers, as an operator may give them to see more.
    let filter = "trace,tokio_postgres=trace,tokio_postgres::query=trace,redis=trace,h2=trace,hyper=trace,tonic=trace";
    init_with(filter, LogFormat::Json, false, move || writer.clone()).expect("a filter");
    let world = World::durable(1).await;
    let mut identity = IdentityServiceClient::new(world.channel(0).clone());
    let (email, name) = ("ophelia.secret@example.com".to_owned(), "Ophelia Privata".to_owned());
    let (password, wrong) = ("correct horse battery".to_owned(), "staple staple staple".to_owned());
    let sign_up = SignUpRequest {
        request_id: request_id(),
        email: email.clone(),
        password: password.clone(),
        display_name: name.clone(),
        ..SignUpRequest::default()
    };
    identity.sign_up(sign_up.clone()).await.expect("a new user");
    identity.sign_up(sign_up).await.expect("the same user");
    let log_in = |password: &str| LogInRequest {
        email: email.clone(),
        password: password.to_owned(),
        ..LogInRequest::default()
    };
    let logged_in = identity.log_in(log_in(&password)).await.expect("the right password").into_inner();
    let (token, used) = (logged_in.access_token, logged_in.refresh_token);
    let refresh = || RefreshSessionRequest { refresh_token: used.clone() };
    let refreshed = identity.refresh_session(refresh()).await.expect("a live session").into_inner();
    let next = RefreshSessionRequest { refresh_token: refreshed.refresh_token.clone() };
    let last = identity.refresh_session(next).await.expect("a live session").into_inner().refresh_token;
    identity.log_in(log_in(&wrong)).await.expect_err("the wrong password");
    let mut get_me = Request::new(GetMeRequest {});
    get_me.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ASCII"));
    identity.get_me(get_me).await.expect("the user");
    identity.refresh_session(refresh()).await.expect_err("a replay");

    let address = Email::parse(&email).expect("an address");
    let found = world.ports.users.find_by_email(&address).await;
    let account = found.expect("Postgres is available").expect("the user");
    let hash = account.password_hash.0.clone();
    tracing::trace!(target: "encore_domain", ?account, "what the types of the domain print");
    drop(world);

    let text = String::from_utf8_lossy(&lines.0.lock().expect("nobody panicked")).into_owned();
    assert!(text.contains(r#""level":"TRACE""#) || text.contains(r#""level":"DEBUG""#), "the filter is in force");
    assert!(text.contains("what the types of the domain print"), "{text}");
    for secret in [
        &email,
        "ophelia",
        &password,
        &wrong,
        &hash,
        "$argon2",
        &token,
        &used,
        &refreshed.refresh_token,
        &refreshed.access_token,
        &last,
    ] {
        let leak = text.lines().find(|line| line.contains(secret));
        assert_eq!(leak, None, "{secret} is in the log");
    }
    assert!(!text.contains("executing statement"), "the driver logs parameters");
}
