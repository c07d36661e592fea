//! New passwords by mail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use encore_app::password_resets::PasswordResetUseCases;
use encore_domain::error::Unavailable;
use encore_domain::identity::password_reset::RESET_LIFETIME;
use encore_domain::ports::{Mailer, MockMailer};
use encore_grpc::GuardedRpcs;
use encore_memory_store::MemoryMailer;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::{
    GetMeRequest, LogInRequest, RequestPasswordResetRequest, ResetPasswordRequest, SignUpRequest,
};
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::fan::{reason, reason_metadata};
use encore_tests::in_memory::Instance;
use encore_tests::world::{embedded_ports, until};
use tonic::transport::Channel;
use tonic::{Request, Status};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse";
const LINK: &str = "https://tickets.example.com/reset#";

fn encore(clock: &Arc<TestClock>, mailer: Option<Arc<dyn Mailer>>) -> Encore {
    let ports = Ports { mailer, ..embedded_ports(Arc::clone(clock)) };
    Encore::new(ports, GuardedRpcs::default()).linking_resets(Some(LINK.to_owned()))
}

async fn start(clock: &Arc<TestClock>, mailer: Option<Arc<dyn Mailer>>) -> Instance {
    let instance = Instance::start(encore(clock, mailer)).await;
    sign_up(&instance).await;
    instance
}

/// An instance without workers, and what sends its mails.
async fn start_without_workers(clock: &Arc<TestClock>, mailer: Arc<dyn Mailer>) -> (Instance, PasswordResetUseCases) {
    let encore = encore(clock, Some(mailer));
    let resets = encore.api.password_resets.clone();
    let instance = Instance::start_without_workers(encore).await;
    sign_up(&instance).await;
    (instance, resets)
}

async fn sign_up(instance: &Instance) {
    let sign_up = SignUpRequest { email: EMAIL.into(), password: PASSWORD.into(), ..SignUpRequest::default() };
    client(instance).sign_up(SignUpRequest { display_name: "Ada".into(), ..sign_up }).await.expect("a new user");
}

fn client(instance: &Instance) -> IdentityServiceClient<Channel> {
    IdentityServiceClient::new(instance.channel.clone())
}

async fn ask(instance: &Instance, email: &str) -> Result<(), Status> {
    client(instance).request_password_reset(RequestPasswordResetRequest { email: email.into() }).await.map(drop)
}

async fn set(instance: &Instance, token: &str, new_password: &str) -> Result<(), Status> {
    let message = ResetPasswordRequest { token: token.into(), new_password: new_password.into() };
    client(instance).reset_password(message).await.map(drop)
}

async fn log_in(instance: &Instance, password: &str) -> Result<String, Status> {
    let message = LogInRequest { email: EMAIL.into(), password: password.into(), ..LogInRequest::default() };
    Ok(client(instance).log_in(message).await?.into_inner().access_token)
}

/// The token of the latest mail, once there are as many.
async fn token(mailer: &MemoryMailer, mails: usize) -> String {
    until("a mail", || async { mailer.sent().len() == mails }).await;
    let mail = mailer.sent().pop().expect("a mail");
    assert_eq!(mail.to.as_str(), EMAIL);
    let link = mail.text.lines().find_map(|line| line.strip_prefix(LINK));
    link.expect("a link").trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_password_is_set_once_and_ends_all_sessions() {
    let (clock, mailer) = (Arc::new(TestClock::default()), MemoryMailer::default());
    let instance = start(&clock, Some(Arc::new(mailer.clone()))).await;
    let session = log_in(&instance, PASSWORD).await.expect("a session");
    ask(&instance, "nobody@example.com").await.expect("the same answer");
    ask(&instance, "ADA@example.com").await.expect("the same answer");
    let sent = token(&mailer, 1).await;

    for wrong in ["", "encore_pr_", "encore_pr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", session.as_str()] {
        let refusal = set(&instance, wrong, "battery staple").await.expect_err("no token");
        assert_eq!(reason(&refusal), "RESET_TOKEN_INVALID", "{wrong:?}");
    }
    assert_eq!(reason(&set(&instance, &sent, "short").await.expect_err("invalid")), "INVALID_REQUEST");
    set(&instance, &sent, "battery staple").await.expect("it is set");
    let again = set(&instance, &sent, "another password").await.expect_err("it was used");
    assert_eq!(reason(&again), "RESET_TOKEN_INVALID");
    assert_eq!(reason(&log_in(&instance, PASSWORD).await.expect_err("the old one")), "LOG_IN_FAILED");
    log_in(&instance, "battery staple").await.expect("the new one");
    let mut get_me = Request::new(GetMeRequest {});
    get_me.metadata_mut().insert("authorization", format!("Bearer {session}").parse().expect("ASCII"));
    let ended = client(&instance).get_me(get_me).await.expect_err("its session has ended");
    assert_eq!(reason(&ended), "CREDENTIALS_INVALID");

    ask(&instance, EMAIL).await.expect("the same answer");
    let late = token(&mailer, 2).await;
    clock.advance(RESET_LIFETIME);
    let expired = set(&instance, &late, "another password").await.expect_err("it has expired");
    assert_eq!(reason(&expired), "RESET_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_gets_few_mails_and_a_network_asks_for_few() {
    let (clock, mailer) = (Arc::new(TestClock::default()), MemoryMailer::default());
    let (instance, resets) = Box::pin(start_without_workers(&clock, Arc::new(mailer.clone()))).await;
    for _ in 0..30 {
        ask(&instance, EMAIL).await.expect("the same answer");
    }
    let refusal = ask(&instance, "nobody@example.com").await.expect_err("too many");
    assert_eq!(reason(&refusal), "RATE_LIMITED");
    assert_eq!(reason_metadata(&refusal, "quota").as_deref(), Some("password_resets"));
    for _ in 0..2 {
        resets.send_waiting().await.expect("mails are sent");
        assert_eq!(mailer.sent().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_fails_is_tried_again() {
    let (clock, tries) = (Arc::new(TestClock::default()), Arc::new(AtomicUsize::new(0)));
    let sent = MemoryMailer::default();
    let mut mailer = MockMailer::new();
    let (counted, kept) = (Arc::clone(&tries), sent.clone());
    mailer.expect_send().returning(move |mail| {
        if counted.fetch_add(1, Ordering::SeqCst) < 2 {
            return Err(Unavailable::of("mail"));
        }
        let (kept, mail) = (kept.clone(), mail.clone());
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(kept.send(&mail)))
    });
    let (instance, resets) = Box::pin(start_without_workers(&clock, Arc::new(mailer))).await;
    ask(&instance, EMAIL).await.expect("the same answer");
    for (nth, pause) in [(1, 2), (2, 8)] {
        for _ in 0..2 {
            resets.send_waiting().await.expect("a try, and a step in which the mail waits");
            assert_eq!(tries.load(Ordering::SeqCst), nth);
        }
        clock.advance(Duration::from_secs(pause));
    }
    resets.send_waiting().await.expect("the last try");
    let token = token(&sent, 1).await;
    set(&instance, &token, "battery staple").await.expect("it is set");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_mails_says_so() {
    let clock = Arc::new(TestClock::default());
    let instance = start(&clock, None).await;
    assert_eq!(reason(&ask(&instance, EMAIL).await.expect_err("no mails")), "MAIL_OFF");
}
