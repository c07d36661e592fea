//! Sessions on several instances: refresh, log-out, and what becomes of calls and streams.

use std::time::Duration;

use encore_domain::identity::session::{LOST_ANSWER_WINDOW, SessionTerms};
use encore_domain::queue::QueueSettings;
use encore_proto::identity::v1 as identity;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::identity::v1::log_out_request::Sessions;
use encore_tests::fan::{Fan, reason, request_id};
use encore_tests::world::{World, until};
use tonic::transport::Channel;
use tonic::{Request, Status};

const PASSWORD: &str = "correct horse";

fn paused() -> QueueSettings {
    QueueSettings { paused: true, ..QueueSettings::default() }
}

fn client(channel: &Channel) -> IdentityServiceClient<Channel> {
    IdentityServiceClient::new(channel.clone())
}

fn authorized<T>(message: T, access_token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {access_token}").parse().expect("ASCII"));
    request
}

async fn sign_up(channel: &Channel) -> identity::SignUpResponse {
    let message = identity::SignUpRequest {
        request_id: request_id(),
        email: format!("{}@example.com", request_id()),
        password: PASSWORD.into(),
        display_name: "Zoë".into(),
        device_name: "Zoë's phone".into(),
    };
    client(channel).sign_up(message).await.expect("a new user").into_inner()
}

async fn log_in(channel: &Channel, email: &str) -> identity::LogInResponse {
    let message = identity::LogInRequest { email: email.into(), password: PASSWORD.into(), ..Default::default() };
    client(channel).log_in(message).await.expect("a session").into_inner()
}

async fn refresh(channel: &Channel, refresh_token: &str) -> Result<identity::RefreshSessionResponse, Status> {
    let message = identity::RefreshSessionRequest { refresh_token: refresh_token.to_owned() };
    Ok(client(channel).refresh_session(message).await?.into_inner())
}

async fn log_out(channel: &Channel, access_token: &str, sessions: Option<Sessions>) -> Result<u32, Status> {
    let message = identity::LogOutRequest { sessions };
    Ok(client(channel).log_out(authorized(message, access_token)).await?.into_inner().ended)
}

async fn sessions(channel: &Channel, access_token: &str) -> Vec<identity::Session> {
    let message = identity::ListSessionsRequest {};
    client(channel).list_sessions(authorized(message, access_token)).await.expect("a list").into_inner().sessions
}

async fn get_me(channel: &Channel, access_token: &str) -> Result<(), Status> {
    client(channel).get_me(authorized(identity::GetMeRequest {}, access_token)).await.map(drop)
}

/// Waits until an instance refuses an access token.
async fn until_refused(channel: &Channel, access_token: &str) {
    until("a refused token", || async {
        get_me(channel, access_token).await.err().is_some_and(|refusal| reason(&refusal) == "CREDENTIALS_INVALID")
    })
    .await;
}

fn user_of(signed_up: &identity::SignUpResponse) -> (String, String) {
    let user = signed_up.user.clone().expect("a user");
    (user.user_id, user.email)
}

async fn a_session_is_refreshed_and_an_old_token_ends_it(world: World) {
    let (here, there) = (world.channel(0), world.channel(1));
    let signed_up = sign_up(here).await;
    let (_, email) = user_of(&signed_up);
    let other = log_in(there, &email).await;
    let first = refresh(there, &signed_up.refresh_token).await.expect("a live session");
    // The answer was lost.
    let again = refresh(here, &signed_up.refresh_token).await.expect("the same child");
    assert_eq!(again.refresh_token, first.refresh_token);
    let second = refresh(here, &first.refresh_token).await.expect("the child");
    assert_ne!(second.refresh_token, first.refresh_token);
    for token in [&first.access_token, &again.access_token, &second.access_token, &signed_up.access_token] {
        get_me(there, token).await.expect("each access token is valid until it expires");
    }

    let replay = refresh(there, &signed_up.refresh_token).await.expect_err("its child was used");
    assert_eq!(reason(&replay), "REFRESH_TOKEN_INVALID");
    let ended = refresh(here, &second.refresh_token).await.expect_err("the session has ended");
    assert_eq!(reason(&ended), "REFRESH_TOKEN_INVALID");
    for channel in [here, there] {
        until_refused(channel, &second.access_token).await;
        get_me(channel, &other.access_token).await.expect("the user's other session goes on");
    }
    let live = sessions(here, &other.access_token).await;
    assert_eq!(live.iter().map(|session| &session.session_id).collect::<Vec<_>>(), [&other.session_id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_refreshed_and_an_old_token_ends_it_on_two_instances() {
    a_session_is_refreshed_and_an_old_token_ends_it(World::durable(2).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_refreshed_and_an_old_token_ends_it_embedded() {
    a_session_is_refreshed_and_an_old_token_ends_it(World::embedded().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_given_again_for_a_minute() {
    let world = World::embedded().await;
    let channel = world.channel(0);
    let (timely, late) = (sign_up(channel).await, sign_up(channel).await);
    let child = refresh(channel, &timely.refresh_token).await.expect("a child").refresh_token;
    refresh(channel, &late.refresh_token).await.expect("a child");
    world.clock.advance(LOST_ANSWER_WINDOW);
    let again = refresh(channel, &timely.refresh_token).await.expect("within the minute");
    assert_eq!(again.refresh_token, child);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(reason(&refresh(channel, &late.refresh_token).await.expect_err("too late")), "REFRESH_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_is_known_on_every_instance_and_ends_the_streams_of_its_session() {
    let world = World::durable(2).await;
    let performance = world.performance(Some(paused())).await;
    let (here, there) = (world.channel(0), world.channel(1));
    let signed_up = sign_up(here).await;
    let (user, email) = user_of(&signed_up);
    let other = log_in(there, &email).await;
    let fan_on = |channel: &Channel, access_token: &str| Fan {
        user: user.parse().expect("a UUID"),
        access_token: access_token.to_owned(),
        queue_token: String::new(),
        channel: channel.clone(),
    };
    let mut fan = fan_on(there, &signed_up.access_token);
    fan.join(performance).await.expect("a place");
    let mut same = fan_on(here, &other.access_token);
    same.queue_token = fan.queue_token.clone();
    let (mut ends, mut goes_on) = (fan.watch().await.expect("a stream"), same.watch().await.expect("a stream"));
    ends.message().await.expect("a frame");
    goes_on.message().await.expect("a frame");

    assert_eq!(log_out(here, &signed_up.access_token, None).await.expect("it ends"), 1);
    let refused = get_me(here, &signed_up.access_token).await.expect_err("at once where it was ended");
    assert_eq!(reason(&refused), "CREDENTIALS_INVALID");
    until_refused(there, &signed_up.access_token).await;
    let end = loop {
        match ends.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&end), "CREDENTIALS_INVALID");
    assert_eq!(
        reason(&refresh(there, &signed_up.refresh_token).await.expect_err("it has ended")),
        "REFRESH_TOKEN_INVALID"
    );
    // The place is kept, and the other session watches it still.
    assert!(matches!(same.position().await, Ok(encore_proto::queue::v1::queue_status::Status::Waiting(_))));
    world.clock.advance(Duration::from_secs(1));
    goes_on.message().await.expect("a stream that goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_ends_another_session_or_all_and_nobody_elses() {
    let world = World::embedded().await;
    let channel = world.channel(0);
    let signed_up = sign_up(channel).await;
    let (_, email) = user_of(&signed_up);
    let (second, third) = (log_in(channel, &email).await, log_in(channel, &email).await);
    let stranger = sign_up(channel).await;

    let listed = sessions(channel, &third.access_token).await;
    let current: Vec<bool> = listed.iter().map(|session| session.is_current).collect();
    assert_eq!(listed.len(), 3);
    assert_eq!(current.iter().filter(|is_current| **is_current).count(), 1);
    let named: Vec<&str> = listed.iter().map(|session| session.device_name.as_str()).collect();
    assert!(named.contains(&"Zoë's phone") && named.contains(&""), "{named:?}");

    let own = |session: &str| Some(Sessions::SessionId(session.to_owned()));
    let foreign = log_out(channel, &stranger.access_token, own(&second.session_id)).await.expect_err("not theirs");
    assert_eq!(reason(&foreign), "NOT_FOUND");
    assert_eq!(log_out(channel, &third.access_token, own(&second.session_id)).await.expect("it ends"), 1);
    until_refused(channel, &second.access_token).await;
    assert_eq!(sessions(channel, &third.access_token).await.len(), 2);
    assert_eq!(log_out(channel, &third.access_token, Some(Sessions::All(true))).await.expect("they end"), 2);
    until_refused(channel, &third.access_token).await;
    until_refused(channel, &signed_up.access_token).await;
    get_me(channel, &stranger.access_token).await.expect("the stranger's goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_of_sessions_is_refused_and_changes_nothing() {
    let world = World::embedded().await;
    let channel = world.channel(0);
    let signed_up = sign_up(channel).await;
    let token = &signed_up.access_token;
    for sessions in [Sessions::All(false), Sessions::SessionId("1".into())] {
        let refusal = log_out(channel, token, Some(sessions)).await.expect_err("invalid");
        assert_eq!(reason(&refusal), "INVALID_REQUEST");
    }
    for text in ["", "encore_rt_", "encore_rt_%%%", "x", token.as_str()] {
        assert_eq!(reason(&refresh(channel, text).await.expect_err("no token")), "REFRESH_TOKEN_INVALID", "{text:?}");
    }
    let long = identity::LogInRequest { device_name: "x".repeat(81), ..Default::default() };
    assert_eq!(reason(&client(channel).log_in(long).await.expect_err("invalid")), "INVALID_REQUEST");
    let fan = world.fan(0).await;
    let outside = log_out(channel, &fan.access_token, None).await.expect_err("it has no session");
    assert_eq!(reason(&outside), "INVALID_REQUEST");
    refresh(channel, &signed_up.refresh_token).await.expect("nothing has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_it_is_not_refreshed_and_its_stream_with_it() {
    let [access_token, idle, absolute] = [2, 5, 20].map(Duration::from_secs);
    let terms = SessionTerms { access_token, idle, absolute };
    let world = World::embedded_as(|encore| encore.with_sessions(terms)).await;
    let channel = world.channel(0);
    let signed_up = sign_up(channel).await;
    let performance = world.performance(Some(paused())).await;
    let mut fan = Fan {
        user: user_of(&signed_up).0.parse().expect("a UUID"),
        access_token: signed_up.access_token.clone(),
        queue_token: String::new(),
        channel: channel.clone(),
    };
    fan.join(performance).await.expect("a place");
    let mut positions = fan.watch().await.expect("a stream");
    positions.message().await.expect("a frame");
    // The stream outlives its access token.
    world.clock.advance(terms.access_token);
    assert_eq!(
        reason(&get_me(channel, &signed_up.access_token).await.expect_err("it has expired")),
        "CREDENTIALS_INVALID"
    );
    positions.message().await.expect("a stream that goes on");
    world.clock.advance(terms.idle);
    world.ports.sessions.expire(world.now(), 10).await.expect("the store answers");
    let end = loop {
        match positions.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&end), "CREDENTIALS_INVALID");
    let refusal = refresh(channel, &signed_up.refresh_token).await.expect_err("it has expired");
    assert_eq!(reason(&refusal), "REFRESH_TOKEN_INVALID");
}
