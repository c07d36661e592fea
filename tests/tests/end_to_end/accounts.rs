//! What users change about their accounts, and what operators change about the roles of others.

use std::time::Duration;

use encore_domain::queue::QueueSettings;
use encore_proto::admin::v1 as admin;
use encore_proto::admin::v1::admin_service_client::AdminServiceClient;
use encore_proto::identity::v1 as identity;
use encore_proto::identity::v1::Role;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::world::{World, until};
use tonic::Status;
use tonic::transport::Channel;

const PASSWORD: &str = "correct horse";

/// A user who signed up, with a session.
struct User {
    fan: Fan,
    email: String,
}

fn client(channel: &Channel) -> IdentityServiceClient<Channel> {
    IdentityServiceClient::new(channel.clone())
}

async fn sign_up(channel: &Channel) -> User {
    let email = format!("{}@example.com", request_id());
    let message = identity::SignUpRequest {
        email: email.clone(),
        password: PASSWORD.into(),
        display_name: "Zoë".into(),
        ..Default::default()
    };
    let signed_up = client(channel).sign_up(message).await.expect("a new user").into_inner();
    let user = signed_up.user.expect("a user").user_id.parse().expect("a UUID");
    let fan = Fan { user, access_token: signed_up.access_token, queue_token: String::new(), channel: channel.clone() };
    User { fan, email }
}

async fn log_in(channel: &Channel, email: &str, password: &str) -> Result<identity::LogInResponse, Status> {
    let message = identity::LogInRequest { email: email.into(), password: password.into(), ..Default::default() };
    Ok(client(channel).log_in(message).await?.into_inner())
}

async fn get_me(fan: &Fan) -> Result<identity::User, Status> {
    let answer = client(&fan.channel).get_me(fan.request(identity::GetMeRequest {})).await?;
    Ok(answer.into_inner().user.expect("a user"))
}

async fn until_refused(fan: &Fan) {
    until("a refused token", || async {
        get_me(fan).await.err().is_some_and(|refusal| reason(&refusal) == "CREDENTIALS_INVALID")
    })
    .await;
}

fn with_token(fan: &Fan, channel: &Channel, access_token: &str) -> Fan {
    Fan { user: fan.user, access_token: access_token.to_owned(), queue_token: String::new(), channel: channel.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_the_other_sessions_on_every_instance() {
    let world = World::durable(2).await;
    let (here, there) = (world.channel(0), world.channel(1));
    let User { fan, email } = sign_up(here).await;
    let other = log_in(there, &email, PASSWORD).await.expect("a session");
    let other = with_token(&fan, there, &other.access_token);
    let change = async |current: &str, new: &str| {
        let message = identity::ChangePasswordRequest { current_password: current.into(), new_password: new.into() };
        client(here).change_password(fan.request(message)).await.map(drop)
    };
    assert_eq!(reason(&change("not the password", "battery staple").await.expect_err("wrong")), "LOG_IN_FAILED");
    let invalid = change("short", "x").await.expect_err("invalid");
    assert_eq!(violated_fields(&invalid), ["current_password", "new_password"]);
    get_me(&other).await.expect("nothing has changed");

    change(PASSWORD, "battery staple").await.expect("it is changed");
    get_me(&fan).await.expect("the session that changed it goes on");
    until_refused(&other).await;
    assert_eq!(reason(&log_in(there, &email, PASSWORD).await.expect_err("the old one")), "LOG_IN_FAILED");
    log_in(there, &email, "battery staple").await.expect("the new one");
}

async fn a_user_changes_the_profile(world: World) {
    let User { fan, .. } = sign_up(world.channel(0)).await;
    let update = async |message: identity::UpdateMeRequest| {
        let updated = client(world.channel(1)).update_me(fan.request(message)).await?;
        Ok::<_, Status>(updated.into_inner().user.expect("a user"))
    };
    let address = identity::PostalAddress {
        street_address: vec!["Keizersgracht  1".into()],
        postal_code: "1015 CJ".into(),
        locality: "Amsterdam".into(),
        region: String::new(),
        country_code: "nl".into(),
    };
    let message = identity::UpdateMeRequest {
        display_name: Some(" Zoe\u{308} R.".into()),
        phone: Some("+31 20 123 4567".into()),
        postal_address: Some(address.clone()),
        ..Default::default()
    };
    let changed = update(message).await.expect("it is changed");
    assert_eq!((changed.display_name.as_str(), changed.phone.as_str()), ("Zoë R.", "+31201234567"));
    let stored = changed.postal_address.clone().expect("an address");
    assert_eq!((stored.street_address[0].as_str(), stored.country_code.as_str()), ("Keizersgracht 1", "NL"));
    assert_eq!(get_me(&fan).await.expect("the user"), changed);

    let invalid = identity::UpdateMeRequest {
        display_name: Some("\u{200B}".into()),
        phone: Some("020 123".into()),
        postal_address: Some(identity::PostalAddress { locality: String::new(), country_code: "x".into(), ..address }),
        ..Default::default()
    };
    let refusal = update(invalid).await.expect_err("invalid");
    let fields = ["display_name", "phone", "postal_address.locality", "postal_address.country_code"];
    assert_eq!(violated_fields(&refusal), fields);
    assert_eq!(update(identity::UpdateMeRequest::default()).await.expect("nothing is named"), changed);

    let remove =
        identity::UpdateMeRequest { phone: Some(String::new()), remove_postal_address: true, ..Default::default() };
    let removed = update(remove).await.expect("it is changed");
    assert_eq!((removed.phone.as_str(), removed.postal_address), ("", None));
    assert_eq!(removed.display_name, "Zoë R.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_changes_the_profile_on_two_instances() {
    a_user_changes_the_profile(World::durable(2).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_changes_the_profile_embedded() {
    a_user_changes_the_profile(World::embedded().await).await;
}

async fn a_deleted_user_leaves_the_books(world: World) {
    let performance = world.performance(None).await;
    let User { fan, email } = sign_up(world.channel(0)).await;
    fan.top_up(20_000).await.expect("money");
    let held = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let delete = async |password: &str, give_up_balances: bool| {
        let message = identity::DeleteMeRequest { password: password.into(), give_up_balances };
        client(world.channel(1)).delete_me(fan.request(message)).await.map(drop)
    };
    assert_eq!(reason(&delete("not the password", true).await.expect_err("wrong")), "LOG_IN_FAILED");
    let refusal = delete(PASSWORD, true).await.expect_err("a live hold");
    assert_eq!(reason(&refusal), "ACCOUNT_IN_USE");
    assert_eq!(reason_metadata(&refusal, "reservations").as_deref(), Some("1"));
    fan.pay(&held.reservation_id).await.expect("a payment");
    let refusal = delete(PASSWORD, true).await.expect_err("a paid show that has not begun");
    assert_eq!(reason_metadata(&refusal, "reservations").as_deref(), Some("1"));
    fan.cancel(&held.reservation_id, &[]).await.expect("cancelled");
    let refusal = delete(PASSWORD, false).await.expect_err("money is left");
    assert_eq!(reason_metadata(&refusal, "balances").as_deref(), Some("20000 EUR"));
    get_me(&fan).await.expect("nothing has changed");

    delete(PASSWORD, true).await.expect("it is deleted");
    until_refused(&with_token(&fan, world.channel(0), &fan.access_token)).await;
    until_refused(&with_token(&fan, world.channel(1), &fan.access_token)).await;
    assert_eq!(reason(&log_in(world.channel(0), &email, PASSWORD).await.expect_err("nobody")), "LOG_IN_FAILED");
    let balances = world.ports.wallets.balances(fan.user).await.expect("the store answers");
    assert_eq!(balances.len(), 1, "the books stay");
    let again = identity::SignUpRequest {
        email: email.clone(),
        password: PASSWORD.into(),
        display_name: "Zoë".into(),
        ..Default::default()
    };
    let again = client(world.channel(0)).sign_up(again).await.expect("the address is free").into_inner();
    assert_ne!(again.user.expect("a user").user_id, fan.user.to_string());
}

async fn nobody_signs_up_as_a_deleted_user(world: World) {
    let User { fan, .. } = sign_up(world.channel(0)).await;
    for email in [format!("{}@deleted.invalid", fan.user), "ADA@Deleted.Invalid".to_owned()] {
        let message = identity::SignUpRequest {
            email,
            password: PASSWORD.into(),
            display_name: "Zoë".into(),
            ..Default::default()
        };
        let refusal = client(world.channel(0)).sign_up(message).await.expect_err("it stands for a deleted user");
        assert_eq!(violated_fields(&refusal), ["email"]);
    }
    let message = identity::DeleteMeRequest { password: PASSWORD.into(), give_up_balances: false };
    client(world.channel(0)).delete_me(fan.request(message)).await.expect("nobody has the placeholder");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_up_as_a_deleted_user_on_durable_stores() {
    nobody_signs_up_as_a_deleted_user(World::durable(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_up_as_a_deleted_user_embedded() {
    nobody_signs_up_as_a_deleted_user(World::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_leaves_the_books_on_two_instances() {
    a_deleted_user_leaves_the_books(World::durable(2).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_user_leaves_the_books_embedded() {
    a_deleted_user_leaves_the_books(World::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_given_and_taken_at_once() {
    let world = World::durable(2).await;
    let (here, there) = (world.channel(0), world.channel(1));
    let performance = world.performance(Some(QueueSettings::default())).await;
    let operator = world.operator().await;
    let set = async |by: &Fan, user: &str, role: Role| {
        let message = admin::SetUserRoleRequest { user_id: user.to_owned(), role: role.into() };
        AdminServiceClient::new(here.clone()).set_user_role(by.request(message)).await.map(drop)
    };
    let User { fan, email } = sign_up(there).await;
    let id = fan.user.to_string();
    assert_eq!(reason(&set(&fan, &id, Role::Operator).await.expect_err("a fan")), "ROLE_NOT_ALLOWED");
    let own = set(&operator, &operator.user.to_string(), Role::Fan).await.expect_err("the caller's own");
    assert_eq!(violated_fields(&own), ["user_id"]);
    assert_eq!(violated_fields(&set(&operator, "x", Role::Unspecified).await.expect_err("bad")), ["user_id", "role"]);
    assert_eq!(reason(&set(&operator, &request_id(), Role::Operator).await.expect_err("nobody")), "NOT_FOUND");

    for role in [Role::Support, Role::BoxOffice, Role::Auditor, Role::CheckIn] {
        set(&operator, &id, role).await.expect("it is given");
        let logged_in = log_in(there, &email, PASSWORD).await.expect("a session");
        assert_eq!(logged_in.user.expect("a user").role(), role);
    }
    set(&operator, &id, Role::Operator).await.expect("it is given");
    until_refused(&fan).await;
    let logged_in = log_in(there, &email, PASSWORD).await.expect("a session");
    assert_eq!(logged_in.user.expect("a user").role(), Role::Operator);
    let promoted = with_token(&fan, there, &logged_in.access_token);
    let watch = admin::WatchQueueRequest { performance_id: performance.to_string() };
    let mut reports = promoted.admin().watch_queue(promoted.request(watch)).await.expect("a stream").into_inner();
    reports.message().await.expect("a report");

    set(&operator, &id, Role::Fan).await.expect("it is taken");
    let end = loop {
        match reports.message().await {
            Ok(Some(_)) => world.clock.advance(Duration::from_millis(1)),
            Ok(None) => panic!("the stream ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&end), "CREDENTIALS_INVALID");
    until_refused(&promoted).await;
    let refused = set(&promoted, &request_id(), Role::Operator).await.expect_err("its session has ended");
    assert_eq!(reason(&refused), "CREDENTIALS_INVALID");
}
