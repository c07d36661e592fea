//! E-mail addresses that are verified by mail, and sign-ups that wait for it.

use std::sync::Arc;

use encore_domain::event::OutboxPlace;
use encore_domain::identity::email_verification::{VERIFICATION_LIFETIME, VerificationPolicy};
use encore_domain::ports::Mailer;
use encore_grpc::GuardedRpcs;
use encore_memory_store::MemoryMailer;
use encore_proto::identity::v1 as identity;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::fan::{reason, reason_metadata, request_id};
use encore_tests::in_memory::Instance;
use encore_tests::world::{World, until};
use futures::future::join_all;
use tonic::transport::Channel;
use tonic::{Request, Status};

const PASSWORD: &str = "correct horse";
const LINK: &str = "https://tickets.example.com/verify#";
const RESET_LINK: &str = "https://tickets.example.com/reset#";

/// An instance on the stores of a world, with its own mailer.
struct House {
    world: World,
    instance: Instance,
    mailer: MemoryMailer,
}

impl House {
    async fn start(world: World, policy: VerificationPolicy) -> Self {
        let mailer = MemoryMailer::default();
        let instance = Instance::start(encore(&world, Some(&mailer), policy)).await;
        Self { world, instance, mailer }
    }

    fn client(&self) -> IdentityServiceClient<Channel> {
        IdentityServiceClient::new(self.instance.channel.clone())
    }

    async fn sign_up_as(
        &self,
        request_id: &str,
        email: &str,
        password: &str,
    ) -> Result<identity::SignUpResponse, Status> {
        let message = identity::SignUpRequest {
            request_id: request_id.into(),
            email: email.into(),
            password: password.into(),
            display_name: "Ada".into(),
            ..Default::default()
        };
        Ok(self.client().sign_up(message).await?.into_inner())
    }

    async fn sign_up(&self, email: &str) -> Result<identity::SignUpResponse, Status> {
        self.sign_up_as("", email, PASSWORD).await
    }

    async fn log_in(&self, email: &str, password: &str) -> Result<identity::LogInResponse, Status> {
        let message = identity::LogInRequest { email: email.into(), password: password.into(), ..Default::default() };
        Ok(self.client().log_in(message).await?.into_inner())
    }

    async fn ask(&self, email: &str) -> Result<(), Status> {
        let message = identity::RequestEmailVerificationRequest { email: email.into() };
        self.client().request_email_verification(message).await.map(drop)
    }

    async fn verify(&self, token: &str) -> Result<(), Status> {
        self.client().verify_email(identity::VerifyEmailRequest { token: token.into() }).await.map(drop)
    }

    async fn get_me(&self, access_token: &str) -> identity::User {
        let message = authorized(access_token, identity::GetMeRequest {});
        self.client().get_me(message).await.expect("the user").into_inner().user.expect("a user")
    }

    /// What follows the link in the latest of as many mails.
    async fn token_after(&self, link: &str, mails: usize) -> String {
        until("a mail", || async { self.mailer.sent().len() == mails }).await;
        let mail = self.mailer.sent().pop().expect("a mail");
        let line = mail.text.lines().find_map(|line| line.strip_prefix(link).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no link in {}", mail.text)).trim().to_owned()
    }

    async fn token(&self, mails: usize) -> String {
        self.token_after(LINK, mails).await
    }

    async fn kinds_of_events(&self) -> Vec<String> {
        let outbox = &self.world.ports.outbox;
        outbox.close_window().await.expect("the store answers");
        let page = outbox.after(OutboxPlace::default(), 100).await.expect("the store answers");
        page.records.into_iter().map(|record| record.kind).collect()
    }
}

fn encore(world: &World, mailer: Option<&MemoryMailer>, policy: VerificationPolicy) -> Encore {
    let mailer = mailer.map(|mailer| Arc::new(mailer.clone()) as Arc<dyn Mailer>);
    let encore = Encore::new(Ports { mailer, ..world.ports.clone() }, GuardedRpcs::default());
    encore.linking_resets(Some(RESET_LINK.to_owned())).verifying_emails(policy, Some(LINK.to_owned()))
}

fn authorized<T>(access_token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {access_token}").parse().expect("ASCII"));
    request
}

fn address() -> String {
    format!("{}@example.com", request_id())
}

async fn an_address_is_verified_once(world: World) {
    let house = House::start(world, VerificationPolicy::Optional).await;
    let email = address();
    let signed_up = house.sign_up(&email).await.expect("a session");
    assert!(!signed_up.awaits_verification);
    assert_eq!(signed_up.user.expect("a user").email_verified_at, None);
    house.ask("nobody@example.com").await.expect("the same answer");
    house.ask(&email.to_uppercase()).await.expect("the same answer");
    let token = house.token(1).await;

    for wrong in ["", "encore_ev_", "encore_ev_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &signed_up.access_token] {
        let refusal = house.verify(wrong).await.expect_err("no token");
        assert_eq!(reason(&refusal), "VERIFICATION_TOKEN_INVALID", "{wrong:?}");
    }
    assert_eq!(house.get_me(&signed_up.access_token).await.email_verified_at, None);
    house.verify(&token).await.expect("it is verified");
    assert!(house.get_me(&signed_up.access_token).await.email_verified_at.is_some());
    assert_eq!(reason(&house.verify(&token).await.expect_err("it was used")), "VERIFICATION_TOKEN_INVALID");

    let other = address();
    house.sign_up(&other).await.expect("a session");
    house.ask(&email).await.expect("the same answer, and no mail");
    house.ask(&other).await.expect("the same answer");
    let late = house.token(2).await;
    assert_eq!(house.mailer.sent()[1].to.as_str(), other);
    house.world.clock.advance(VERIFICATION_LIFETIME);
    assert_eq!(reason(&house.verify(&late).await.expect_err("it has expired")), "VERIFICATION_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_verified_once_on_embedded_stores() {
    an_address_is_verified_once(World::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_verified_once_on_durable_stores() {
    an_address_is_verified_once(World::durable(1).await).await;
}

async fn a_sign_up_does_not_tell_whether_the_address_is_taken(world: World) {
    let house = House::start(world, VerificationPolicy::Required).await;
    let (email, request) = (address(), request_id());
    let of_new = house.sign_up_as(&request, &email, PASSWORD).await.expect("an answer");
    assert_eq!(of_new, identity::SignUpResponse { awaits_verification: true, ..Default::default() });
    let token = house.token(1).await;
    let not_yet = house.log_in(&email, PASSWORD).await.expect_err("it is not verified");
    assert_eq!(reason(&not_yet), "EMAIL_NOT_VERIFIED");
    for (email, password) in [(email.as_str(), "battery staple"), ("nobody@example.com", PASSWORD)] {
        let refusal = house.log_in(email, password).await.expect_err("nobody knows it");
        assert_eq!(reason(&refusal), "LOG_IN_FAILED", "{email}");
    }

    // A repeat, another body with the same id, and the taken address.
    assert_eq!(house.sign_up_as(&request, &email, PASSWORD).await.expect("an answer"), of_new);
    assert_eq!(house.sign_up_as(&request, &address(), PASSWORD).await.expect("an answer"), of_new);
    assert_eq!(house.sign_up_as(&request_id(), &email, "battery staple").await.expect("an answer"), of_new);
    until("a mail about the account", || async { house.mailer.sent().len() == 2 }).await;
    let mail = house.mailer.sent().pop().expect("a mail");
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), (email.as_str(), "You have an account already"));
    assert!(!mail.text.contains("encore_"), "without a token");
    assert_eq!(reason(&house.log_in(&email, "battery staple").await.expect_err("unchanged")), "LOG_IN_FAILED");

    house.verify(&token).await.expect("it is verified");
    house.log_in(&email, PASSWORD).await.expect("a session");
    assert_eq!(house.kinds_of_events().await, ["user.signed_up", "user.email_verified"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_does_not_tell_whether_the_address_is_taken_on_embedded_stores() {
    a_sign_up_does_not_tell_whether_the_address_is_taken(World::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_up_does_not_tell_whether_the_address_is_taken_on_durable_stores() {
    a_sign_up_does_not_tell_whether_the_address_is_taken(World::durable(1).await).await;
}

async fn of_twenty_verifications_at_once_one_is_made(world: World) {
    let house = House::start(world, VerificationPolicy::Required).await;
    let email = address();
    house.sign_up(&email).await.expect("an answer");
    let token = house.token(1).await;
    let answers = join_all((0..20).map(|_| house.verify(&token))).await;
    let refusals: Vec<String> = answers.iter().filter_map(|answer| answer.as_ref().err().map(reason)).collect();
    assert_eq!(refusals, ["VERIFICATION_TOKEN_INVALID"; 19]);
    house.log_in(&email, PASSWORD).await.expect("a session");
    assert_eq!(house.kinds_of_events().await, ["user.signed_up", "user.email_verified"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_verifications_at_once_one_is_made_on_embedded_stores() {
    of_twenty_verifications_at_once_one_is_made(World::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_verifications_at_once_one_is_made_on_durable_stores() {
    of_twenty_verifications_at_once_one_is_made(World::durable(1).await).await;
}

async fn a_deleted_user_verifies_nothing(world: World) {
    let house = House::start(world, VerificationPolicy::Optional).await;
    let email = address();
    let access_token = house.sign_up(&email).await.expect("a session").access_token;
    house.ask(&email).await.expect("the same answer");
    let token = house.token(1).await;
    let message = identity::DeleteMeRequest { password: PASSWORD.into(), give_up_balances: false };
    house.client().delete_me(authorized(&access_token, message)).await.expect("it is deleted");
    assert_eq!(reason(&house.verify(&token).await.expect_err("its user is gone")), "VERIFICATION_TOKEN_INVALID");
    let again = house.sign_up(&email).await.expect("a session").access_token;
    assert_eq!(house.get_me(&again).await.email_verified_at, None, "the next owner starts anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_verifies_nothing_on_embedded_stores() {
    a_deleted_user_verifies_nothing(World::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_verifies_nothing_on_durable_stores() {
    a_deleted_user_verifies_nothing(World::durable(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_an_address_takes_over_what_a_stranger_signed_up_with_it() {
    let house = House::start(World::embedded().await, VerificationPolicy::Required).await;
    let email = address();
    house.sign_up_as("", &email, "the stranger's").await.expect("an answer");
    house.token(1).await;
    let message = identity::RequestPasswordResetRequest { email: email.clone() };
    house.client().request_password_reset(message).await.expect("the same answer");
    let token = house.token_after(RESET_LINK, 2).await;
    let message = identity::ResetPasswordRequest { token, new_password: PASSWORD.into() };
    house.client().reset_password(message).await.expect("it is set");
    let user = house.log_in(&email, PASSWORD).await.expect("a session").user.expect("a user");
    assert!(user.email_verified_at.is_some(), "the token was read at the address");
    assert_eq!(reason(&house.log_in(&email, "the stranger's").await.expect_err("replaced")), "LOG_IN_FAILED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_gets_few_mails_and_a_network_asks_for_few() {
    let (world, mailer) = (World::embedded().await, MemoryMailer::default());
    let encore = encore(&world, Some(&mailer), VerificationPolicy::Required);
    let verifications = encore.api.email_verifications.clone();
    let instance = Instance::start_without_workers(encore).await;
    let house = House { world, instance, mailer };
    let email = address();
    house.sign_up(&email).await.expect("an answer");
    for _ in 0..30 {
        house.ask(&email).await.expect("the same answer");
    }
    let refusal = house.ask("nobody@example.com").await.expect_err("too many");
    assert_eq!(reason(&refusal), "RATE_LIMITED");
    assert_eq!(reason_metadata(&refusal, "quota").as_deref(), Some("email_verifications"));
    for _ in 0..2 {
        verifications.send_waiting().await.expect("mails are sent");
        assert_eq!(house.mailer.sent().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_mails_says_so() {
    let world = World::embedded().await;
    let instance = Instance::start(encore(&world, None, VerificationPolicy::Optional)).await;
    let house = House { world, instance, mailer: MemoryMailer::default() };
    assert_eq!(reason(&house.ask("ada@example.com").await.expect_err("no mails")), "MAIL_OFF");
}
