//! The cases of [`Sessions`](encore_domain::ports::Sessions).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::identity::session::{
    DeviceName, LOST_ANSWER_WINDOW, NextToken, RefreshToken, SECRET_BYTES, SESSIONS_PER_USER_MAX, Salt, Secret,
    Session, SessionRecord, SessionTerms,
};
use encore_domain::identity::{Account, PasswordHash, Role};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::{AccountChanged, EndedSession, Refreshed};
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::RecordBench;
use crate::answers::{made, refused};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{account, at_secs, id, just_before, start};

/// Stamps the cases of the port `Sessions`.
#[macro_export]
macro_rules! sessions {
    ($($with:tt)+) => {
        $crate::suite! { sessions [
            starts_a_session,
            starts_only_while_the_account_is_unchanged,
            starts_no_more_than_a_user_may_have,
            rotates_the_current_token,
            repeats_a_used_token_while_its_child_is_unused,
            agrees_on_one_child_under_contention,
            ends_a_session_at_a_replay,
            refuses_what_is_of_no_live_session,
            ends_a_session_of_its_user,
            ends_all_sessions_of_a_user,
            lists_live_sessions,
            tells_who_ended,
            expires_what_is_due,
            forgets_what_ended,
        ] $($with)+ }
    };
}

const TERMS: SessionTerms = SessionTerms {
    access_token: Duration::from_mins(10),
    idle: Duration::from_hours(1),
    absolute: Duration::from_hours(3),
};

fn salt(n: u8) -> Salt {
    Salt([n; SECRET_BYTES])
}

/// The child of a token with this salt, as it is proposed.
fn next(token: &RefreshToken, n: u8) -> NextToken {
    NextToken { salt: salt(n), token: token.child(salt(n)).shown().token }
}

fn session_of(user: UserId, at: Timestamp) -> (SessionRecord, RefreshToken) {
    let id: SessionId = id();
    let mut secret = [7; SECRET_BYTES];
    secret[..16].copy_from_slice(id.0.as_bytes());
    let device = DeviceName::parse("Zoë's phone").expect("a name");
    SessionRecord::begin((id, user), Some(device), (Secret(secret), salt(0)), at, &TERMS)
}

/// Before every session that ends.
fn nothing_ended() -> EndedSession {
    EndedSession { ended_at: Timestamp::UNIX_EPOCH, id: SessionId(Uuid::nil()) }
}

impl RecordBench {
    pub(crate) async fn stored_account(&self) -> Account {
        made(self.users.create(account(), None).await)
    }

    pub(crate) async fn log_in(&self, account: &Account, at: Timestamp) -> (Session, RefreshToken) {
        let (record, token) = session_of(account.user.id, at);
        let session = record.session.clone();
        assert_eq!(self.sessions.start(record, account).await.expect("it starts"), []);
        (session, token)
    }

    pub(crate) async fn show_refresh_token(&self, token: &RefreshToken, n: u8, at: Timestamp) -> Refreshed {
        self.sessions.refresh(token.shown(), next(token, n), at, &TERMS).await.expect("the store answers")
    }

    pub(crate) async fn live_sessions(&self, user: UserId, at: Timestamp) -> Vec<Session> {
        self.sessions.live(user, at).await.expect("the store answers")
    }

    pub(crate) async fn ended_sessions(&self) -> Vec<EndedSession> {
        self.sessions.ended_after(nothing_ended(), 1_000).await.expect("the store answers")
    }
}

pub async fn starts_a_session(bench: RecordBench) {
    let account = bench.stored_account().await;
    let (session, _) = bench.log_in(&account, start()).await;
    assert_eq!(bench.live_sessions(account.user.id, start()).await, from_ref(&session));
    let (mut nameless, _) = session_of(account.user.id, at_secs(1));
    nameless.session.device = None;
    bench.sessions.start(nameless.clone(), &account).await.expect("it starts");
    assert_eq!(bench.live_sessions(account.user.id, at_secs(1)).await, [nameless.session, session]);
}

pub async fn starts_only_while_the_account_is_unchanged(bench: RecordBench) {
    let stored = bench.stored_account().await;
    let user = stored.user.id;
    let other_password = Account { password_hash: PasswordHash("$argon2id$other".to_owned()), ..stored.clone() };
    let mut other_role = stored.clone();
    other_role.user.role = Role::Operator;
    for checked in [other_password, other_role, account()] {
        let (record, token) = session_of(checked.user.id, start());
        assert_eq!(refused(bench.sessions.start(record, &checked).await), AccountChanged);
        assert_eq!(bench.show_refresh_token(&token, 1, start()).await, Refreshed::Refused);
    }
    assert_eq!(bench.live_sessions(user, start()).await, []);
}

pub async fn starts_no_more_than_a_user_may_have(bench: RecordBench) {
    let (account, other) = (bench.stored_account().await, bench.stored_account().await);
    let (kept, _) = bench.log_in(&other, start()).await;
    let mut begun = Vec::new();
    for second in 0..SESSIONS_PER_USER_MAX as u64 {
        begun.push(bench.log_in(&account, at_secs(second)).await);
    }
    // The first is refreshed last.
    let late = at_secs(1_000);
    assert!(matches!(bench.show_refresh_token(&begun[0].1, 1, late).await, Refreshed::Rotated(_)));
    let (record, _) = session_of(account.user.id, late);
    assert_eq!(bench.sessions.start(record, &account).await.expect("it starts"), [begun[1].0.id]);
    let live = bench.live_sessions(account.user.id, late).await;
    assert_eq!(live.len(), SESSIONS_PER_USER_MAX);
    assert!(live.iter().all(|session| session.id != begun[1].0.id));
    assert_eq!(bench.ended_sessions().await, [EndedSession { ended_at: late, id: begun[1].0.id }]);
    assert_eq!(bench.live_sessions(other.user.id, start()).await, [kept]);
}

pub async fn rotates_the_current_token(bench: RecordBench) {
    let account = bench.stored_account().await;
    let (session, first) = bench.log_in(&account, start()).await;
    let rotated = Session { refreshed_at: at_secs(60), expires_at: at_secs(60) + TERMS.idle, ..session };
    assert_eq!(bench.show_refresh_token(&first, 1, at_secs(60)).await, Refreshed::Rotated(rotated.clone()));
    assert_eq!(bench.live_sessions(account.user.id, at_secs(60)).await, from_ref(&rotated));
    let child = first.child(salt(1));
    let again = Session { refreshed_at: at_secs(61), expires_at: at_secs(61) + TERMS.idle, ..rotated };
    assert_eq!(bench.show_refresh_token(&child, 2, at_secs(61)).await, Refreshed::Rotated(again));
}

pub async fn repeats_a_used_token_while_its_child_is_unused(bench: RecordBench) {
    let account = bench.stored_account().await;
    let (session, first) = bench.log_in(&account, start()).await;
    let rotated = Session { refreshed_at: at_secs(1), expires_at: at_secs(1) + TERMS.idle, ..session };
    assert_eq!(bench.show_refresh_token(&first, 1, at_secs(1)).await, Refreshed::Rotated(rotated.clone()));
    for at in [at_secs(1), at_secs(1) + LOST_ANSWER_WINDOW] {
        assert_eq!(bench.show_refresh_token(&first, 2, at).await, Refreshed::Again(rotated.clone(), salt(1)));
    }
    assert_eq!(bench.live_sessions(account.user.id, at_secs(1)).await, [rotated]);
    assert!(matches!(bench.show_refresh_token(&first.child(salt(1)), 3, at_secs(90)).await, Refreshed::Rotated(_)));
}

pub async fn agrees_on_one_child_under_contention(bench: RecordBench) {
    let account = bench.stored_account().await;
    let (_, first) = bench.log_in(&account, start()).await;
    let answers = at_once((1..).take(TWENTY).map(|n: u8| {
        let (sessions, shown, next) = (Arc::clone(&bench.sessions), first.shown(), next(&first, n));
        async move { (n, sessions.refresh(shown, next, at_secs(1), &TERMS).await.expect("the store answers")) }
    }))
    .await;
    let rotated = answers.iter().filter(|(_, answer)| matches!(answer, Refreshed::Rotated(_)));
    let rotated: Vec<u8> = rotated.map(|(n, _)| *n).collect();
    let [winner] = rotated[..] else { panic!("one rotates: {answers:?}") };
    for (n, answer) in answers {
        let agrees = matches!(answer, Refreshed::Again(_, of) if of == salt(winner));
        assert!(n == winner || agrees, "{answer:?}");
    }
    assert!(matches!(
        bench.show_refresh_token(&first.child(salt(winner)), 99, at_secs(1)).await,
        Refreshed::Rotated(_)
    ));
}

pub async fn ends_a_session_at_a_replay(bench: RecordBench) {
    let account = bench.stored_account().await;
    let (late, late_token) = bench.log_in(&account, start()).await;
    let (used, used_token) = bench.log_in(&account, at_secs(1)).await;
    let (other, _) = bench.log_in(&account, at_secs(2)).await;
    // One is shown again too late, the other after its child was used.
    bench.show_refresh_token(&late_token, 1, at_secs(3)).await;
    let after_the_window = at_secs(3) + LOST_ANSWER_WINDOW + Duration::from_millis(1);
    let replayed = bench.show_refresh_token(&late_token, 2, after_the_window).await;
    assert!(matches!(&replayed, Refreshed::Replayed(session) if session.id == late.id), "{replayed:?}");
    bench.show_refresh_token(&used_token, 1, at_secs(100)).await;
    let child = used_token.child(salt(1));
    bench.show_refresh_token(&child, 2, at_secs(101)).await;
    let replayed = bench.show_refresh_token(&used_token, 3, at_secs(101)).await;
    assert!(matches!(&replayed, Refreshed::Replayed(session) if session.id == used.id), "{replayed:?}");

    assert_eq!(bench.live_sessions(account.user.id, at_secs(101)).await, [other]);
    for token in [late_token.child(salt(1)), child.child(salt(2))] {
        assert_eq!(bench.show_refresh_token(&token, 4, at_secs(102)).await, Refreshed::Refused);
    }
    let ended = bench.ended_sessions().await;
    assert_eq!(ended.iter().map(|ended| ended.id).collect::<Vec<_>>(), [late.id, used.id]);
}

pub async fn refuses_what_is_of_no_live_session(bench: RecordBench) {
    let account = bench.stored_account().await;
    let user = account.user.id;
    let (session, token) = bench.log_in(&account, start()).await;
    let (_, unknown) = session_of(user, start());
    let other_family = RefreshToken::new(session.id, Secret([1; SECRET_BYTES]), salt(0));
    for token in [&unknown, &other_family] {
        assert_eq!(bench.show_refresh_token(token, 1, at_secs(1)).await, Refreshed::Refused);
    }
    assert_eq!(bench.show_refresh_token(&token, 1, session.expires_at).await, Refreshed::Refused);
    assert_eq!(bench.live_sessions(user, at_secs(1)).await, from_ref(&session));
    assert_eq!(bench.ended_sessions().await, []);
    assert!(bench.sessions.end(user, session.id, at_secs(2)).await.expect("the store answers"));
    assert_eq!(bench.show_refresh_token(&token, 1, at_secs(3)).await, Refreshed::Refused);
    assert_eq!(bench.live_sessions(user, at_secs(3)).await, []);
}

pub async fn ends_a_session_of_its_user(bench: RecordBench) {
    let (account, other) = (bench.stored_account().await, bench.stored_account().await);
    let (ended, _) = bench.log_in(&account, start()).await;
    let (kept, _) = bench.log_in(&account, at_secs(1)).await;
    let end = async |user, session| bench.sessions.end(user, session, at_secs(2)).await.expect("the store answers");
    assert!(!end(other.user.id, ended.id).await, "another user's");
    assert!(!end(account.user.id, id()).await, "unknown");
    assert_eq!(bench.live_sessions(account.user.id, at_secs(2)).await, [kept.clone(), ended.clone()]);
    assert!(end(account.user.id, ended.id).await);
    assert!(!end(account.user.id, ended.id).await, "it has ended");
    assert_eq!(bench.live_sessions(account.user.id, at_secs(2)).await, [kept]);
    assert_eq!(bench.ended_sessions().await, [EndedSession { ended_at: at_secs(2), id: ended.id }]);
}

pub async fn ends_all_sessions_of_a_user(bench: RecordBench) {
    let (account, other) = (bench.stored_account().await, bench.stored_account().await);
    let (first, token) = bench.log_in(&account, start()).await;
    let (second, _) = bench.log_in(&account, start()).await;
    let (kept, _) = bench.log_in(&other, start()).await;
    let mut ended = bench.sessions.end_all(account.user.id, at_secs(1)).await.expect("the store answers");
    ended.sort();
    assert_eq!(ended, [first.id, second.id]);
    assert_eq!(bench.sessions.end_all(account.user.id, at_secs(2)).await.expect("the store answers"), []);
    assert_eq!(bench.live_sessions(account.user.id, at_secs(1)).await, []);
    assert_eq!(bench.show_refresh_token(&token, 1, at_secs(1)).await, Refreshed::Refused);
    assert_eq!(bench.live_sessions(other.user.id, at_secs(1)).await, [kept]);
}

pub async fn lists_live_sessions(bench: RecordBench) {
    let (account, other) = (bench.stored_account().await, bench.stored_account().await);
    let user = account.user.id;
    let (first, token) = bench.log_in(&account, start()).await;
    let (second, _) = bench.log_in(&account, at_secs(1)).await;
    let (third, _) = bench.log_in(&account, at_secs(2)).await;
    bench.log_in(&other, start()).await;
    bench.sessions.end(user, third.id, at_secs(3)).await.expect("the store answers");
    bench.show_refresh_token(&token, 1, at_secs(3)).await;
    let ids = |sessions: Vec<Session>| sessions.into_iter().map(|session| session.id).collect::<Vec<_>>();
    assert_eq!(ids(bench.live_sessions(user, at_secs(3)).await), [first.id, second.id]);
    assert_eq!(ids(bench.live_sessions(user, just_before(second.expires_at)).await), [first.id, second.id]);
    assert_eq!(ids(bench.live_sessions(user, second.expires_at).await), [first.id]);
    assert_eq!(bench.live_sessions(id(), start()).await, []);
}

pub async fn tells_who_ended(bench: RecordBench) {
    let account = bench.stored_account().await;
    let user = account.user.id;
    let mut expected = Vec::new();
    for second in [5, 5, 3, 9] {
        let (session, _) = bench.log_in(&account, start()).await;
        bench.sessions.end(user, session.id, at_secs(second)).await.expect("the store answers");
        expected.push(EndedSession { ended_at: at_secs(second), id: session.id });
    }
    bench.log_in(&account, start()).await;
    expected.sort();
    assert_eq!(bench.ended_sessions().await, expected);
    let page = async |after, limit| bench.sessions.ended_after(after, limit).await.expect("the store answers");
    assert_eq!(page(nothing_ended(), 2).await, expected[..2]);
    assert_eq!(page(expected[1], 2).await, expected[2..], "one of two that ended at the same time");
    assert_eq!(page(expected[3], 2).await, []);
}

pub async fn expires_what_is_due(bench: RecordBench) {
    let account = bench.stored_account().await;
    let user = account.user.id;
    let mut begun = Vec::new();
    for second in 0..4 {
        begun.push(bench.log_in(&account, at_secs(second)).await.0);
    }
    let due = begun[2].expires_at;
    let expire = async |at, limit| bench.sessions.expire(at, limit).await.expect("the store answers");
    assert_eq!(expire(just_before(begun[0].expires_at), 10).await, 0);
    assert_eq!(expire(due, 2).await, 2);
    assert_eq!(expire(due, 2).await, 1);
    assert_eq!(expire(due, 2).await, 0);
    let mut ended: Vec<SessionId> = bench.ended_sessions().await.into_iter().map(|ended| ended.id).collect();
    ended.sort();
    assert_eq!(ended, [begun[0].id, begun[1].id, begun[2].id]);
    assert!(bench.ended_sessions().await.iter().all(|ended| ended.ended_at == due));
    assert_eq!(bench.live_sessions(user, start()).await, [begun[3].clone()]);
}

pub async fn forgets_what_ended(bench: RecordBench) {
    let account = bench.stored_account().await;
    let user = account.user.id;
    let mut begun = Vec::new();
    for second in 1..=4 {
        let (session, _) = bench.log_in(&account, start()).await;
        bench.sessions.end(user, session.id, at_secs(second)).await.expect("the store answers");
        begun.push(session.id);
    }
    let (live, _) = bench.log_in(&account, start()).await;
    let forget = async |by, limit| bench.sessions.forget(by, limit).await.expect("the store answers");
    assert_eq!(forget(just_before(at_secs(1)), 10).await, 0);
    assert_eq!(forget(at_secs(3), 2).await, 2);
    assert_eq!(forget(at_secs(3), 2).await, 1);
    assert_eq!(forget(at_secs(3), 2).await, 0);
    assert_eq!(bench.ended_sessions().await, [EndedSession { ended_at: at_secs(4), id: begun[3] }]);
    assert_eq!(bench.live_sessions(user, start()).await, [live]);
}
