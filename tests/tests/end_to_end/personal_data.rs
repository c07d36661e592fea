//! What is kept about a user, sent to the user.

use std::time::Duration;

use encore_domain::ids::UserId;
use encore_port_tests::fixtures;
use encore_proto::admin::v1 as admin;
use encore_proto::identity::v1 as identity;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id};
use encore_tests::world::{World, until};
use prost::Message;
use tonic::Status;
use tonic::transport::Channel;

const PASSWORD: &str = "correct horse";
/// More entries than fit into a page.
const TOP_UPS: u32 = 130;

fn client(channel: &Channel) -> IdentityServiceClient<Channel> {
    IdentityServiceClient::new(channel.clone())
}

async fn sign_up(channel: &Channel) -> (Fan, String) {
    let email = format!("{}@example.com", request_id());
    let message = identity::SignUpRequest {
        email: email.clone(),
        password: PASSWORD.into(),
        display_name: "Zoë".into(),
        device_name: "Zoë's phone".into(),
        ..Default::default()
    };
    let signed_up = client(channel).sign_up(message).await.expect("a new user").into_inner();
    let user = signed_up.user.expect("a user").user_id.parse().expect("a UUID");
    let fan = Fan { user, access_token: signed_up.access_token, queue_token: String::new(), channel: channel.clone() };
    (fan, email)
}

/// The messages of an export.
async fn export(fan: &Fan) -> Result<Vec<identity::ExportMeResponse>, Status> {
    let mut stream = client(&fan.channel).export_me(fan.request(identity::ExportMeRequest {})).await?.into_inner();
    let mut messages = Vec::new();
    while let Some(message) = stream.message().await? {
        messages.push(message);
    }
    Ok(messages)
}

/// All messages as one, merged as any protobuf library merges them.
fn merged(messages: &[identity::ExportMeResponse]) -> identity::ExportMeResponse {
    let bytes: Vec<u8> = messages.iter().flat_map(Message::encode_to_vec).collect();
    identity::ExportMeResponse::decode(bytes.as_slice()).expect("one message")
}

async fn top_up_often(world: &World, user: UserId) {
    for _ in 0..TOP_UPS {
        let transfer = fixtures::top_up(user, fixtures::euros(200));
        world.ports.wallets.top_up(transfer, fixtures::request(user)).await.expect("money");
    }
}

async fn a_user_gets_all_that_is_kept(world: World) {
    let performance = world.performance(None).await;
    let (fan, email) = sign_up(world.channel(0)).await;
    let (other, _) = sign_up(world.channel(0)).await;
    top_up_often(&world, fan.user).await;
    other.top_up(300).await.expect("money");
    let held = fan.hold(performance, &["S-A-1"]).await.expect("a hold");
    let paid = fan.pay(&held.reservation_id).await.expect("a payment");
    fan.cancel(&held.reservation_id, &[]).await.expect("cancelled");
    let drawn = world.drawn_performance(fixtures::queue_settings(), Duration::from_mins(1)).await;
    world.ports.draws.enter(drawn, 1, fan.user, 0).await.expect("an entry");
    let operator = world.operator().await;
    let role = identity::Role::BoxOffice.into();
    let message = admin::SetUserRoleRequest { user_id: fan.user.to_string(), role };
    operator.admin().set_user_role(operator.request(message)).await.expect("it is given");
    let log_in =
        identity::LogInRequest { email: email.clone(), password: PASSWORD.into(), device_name: "Zoë's laptop".into() };
    let access_token = client(&fan.channel).log_in(log_in).await.expect("a session").into_inner().access_token;
    let fan = Fan { access_token, ..fan };
    let message = identity::RequestPasswordResetRequest { email: email.clone() };
    client(&fan.channel).request_password_reset(message).await.expect("a mail");
    let message = identity::RequestEmailVerificationRequest { email: email.clone() };
    client(&fan.channel).request_email_verification(message).await.expect("a mail");
    until("both tokens", || async {
        let resets = world.ports.password_resets.of_user(fan.user).await.expect("the store answers");
        let verifications = world.ports.email_verifications.of_user(fan.user).await.expect("the store answers");
        (resets.len(), verifications.len()) == (1, 1)
    })
    .await;

    let messages = export(&fan).await.expect("an export");
    assert!(messages.iter().all(|message| message.ledger_entries.len() <= 100), "pages");
    let all = merged(&messages);
    let user = all.user.expect("the profile");
    assert_eq!((user.user_id, user.email, user.role), (fan.user.to_string(), email, role));
    let devices: Vec<&str> = all.sessions.iter().map(|session| session.device_name.as_str()).collect();
    assert_eq!(devices, ["Zoë's laptop"], "the changed role ended the other");
    let purposes: Vec<_> = all.mailed_tokens.iter().map(identity::MailedToken::purpose).collect();
    assert_eq!(
        purposes,
        [identity::MailedTokenPurpose::PasswordReset, identity::MailedTokenPurpose::EmailVerification]
    );
    assert_eq!(all.balances.iter().map(|it| it.amount_minor).collect::<Vec<_>>(), [200 * i64::from(TOP_UPS)]);
    assert_eq!(all.reservations.iter().map(|it| &it.reservation_id).collect::<Vec<_>>(), [&held.reservation_id]);
    assert_eq!(all.payments.iter().map(|it| &it.payment_id).collect::<Vec<_>>(), [&paid.payment_id]);
    assert_eq!(all.refunds.iter().map(|it| &it.payment_id).collect::<Vec<_>>(), [&paid.payment_id]);
    assert_eq!(all.ledger_entries.len(), TOP_UPS as usize + 2, "with the payment and the refund");
    assert_eq!(all.draw_entries.iter().map(|it| (it.lane_index, it.draw_index)).collect::<Vec<_>>(), [(0, 1)]);
    let [change] = all.staff_changes.as_slice() else { panic!("{:?}", all.staff_changes) };
    assert_eq!(
        (change.rpc.as_str(), change.changes[0].after.as_deref()),
        ("AdminService.SetUserRole", Some("BOX_OFFICE"))
    );
    assert!(!format!("{messages:?}").contains(&operator.user.to_string()), "who of the staff is another person's data");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_gets_all_that_is_kept_on_embedded_stores() {
    a_user_gets_all_that_is_kept(World::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_gets_all_that_is_kept_on_durable_stores() {
    a_user_gets_all_that_is_kept(World::durable(1).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_exports_the_account_a_few_times_an_hour() {
    let world = World::embedded().await;
    let (fan, _) = sign_up(world.channel(0)).await;
    for _ in 0..10 {
        export(&fan).await.expect("an export");
    }
    let refusal = export(&fan).await.expect_err("too many");
    assert_eq!(reason(&refusal), "RATE_LIMITED");
    assert_eq!(reason_metadata(&refusal, "quota").as_deref(), Some("exports"));
    let (other, _) = sign_up(world.channel(0)).await;
    export(&other).await.expect("another's are counted apart");
    world.clock.advance(Duration::from_mins(6));
    export(&fan).await.expect("one more");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_exported_after_the_end_of_the_account() {
    let world = World::embedded().await;
    let (fan, _) = sign_up(world.channel(0)).await;
    let nobody = world.fan_without_account(world.channel(0));
    assert_eq!(reason(&export(&nobody).await.expect_err("no account")), "NOT_FOUND");
    let message = identity::DeleteMeRequest { password: PASSWORD.into(), give_up_balances: false };
    client(&fan.channel).delete_me(fan.request(message)).await.expect("it is deleted");
    assert_eq!(reason(&export(&fan).await.expect_err("no session")), "CREDENTIALS_INVALID");
}
