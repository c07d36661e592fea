//! The cases of [`PasswordResets`](encore_domain::ports::PasswordResets).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::event::Event;
use encore_domain::identity::password_reset::{NoSuchReset, PasswordReset, RESET_LIFETIME, RESETS_PER_USER_MAX};
use encore_domain::identity::session::{SECRET_BYTES, Secret, SecretDigest};
use encore_domain::identity::{Account, PasswordHash, User};
use encore_domain::ids::UserId;
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::RecordBench;
use crate::answers::refused;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_secs, id, just_before, start};

/// Stamps the cases of the port `PasswordResets`.
#[macro_export]
macro_rules! password_resets {
    ($($with:tt)+) => {
        $crate::suite! { password_resets [
            keeps_a_reset,
            keeps_the_latest_resets_of_a_user,
            sets_a_password_once,
            verifies_the_address_with_the_password,
            sets_a_password_once_under_contention,
            sets_no_password_without_a_reset,
            ends_resets_with_the_password_they_were_for,
            lists_resets_of_a_user,
            forgets_expired_resets,
        ] $($with)+ }
    };
}

fn new_hash() -> PasswordHash {
    PasswordHash("$argon2id$new".to_owned())
}

fn digest() -> SecretDigest {
    let mut secret = [9; SECRET_BYTES];
    secret[..16].copy_from_slice(id::<Uuid>().as_bytes());
    Secret(secret).digest()
}

impl RecordBench {
    async fn ask_reset(&self, user: UserId, made_at: Timestamp) -> PasswordReset {
        let reset = PasswordReset { digest: digest(), user, made_at, expires_at: made_at + RESET_LIFETIME };
        self.password_resets.add(reset).await.expect("the store answers");
        reset
    }

    async fn user_of_reset(&self, reset: &PasswordReset, at: Timestamp) -> Option<UserId> {
        self.password_resets.find(reset.digest, at).await.expect("the store answers")
    }

    async fn stored_user(&self, id: UserId) -> Option<Account> {
        self.users.find(id).await.expect("the store answers")
    }
}

pub async fn keeps_a_reset(bench: RecordBench) {
    let user = bench.sign_up().await;
    let reset = bench.ask_reset(user, start()).await;
    assert_eq!(bench.user_of_reset(&reset, start()).await, Some(user));
    assert_eq!(bench.user_of_reset(&reset, just_before(reset.expires_at)).await, Some(user));
    assert_eq!(bench.user_of_reset(&reset, reset.expires_at).await, None);
    assert_eq!(bench.password_resets.find(digest(), start()).await.expect("the store answers"), None);
}

pub async fn keeps_the_latest_resets_of_a_user(bench: RecordBench) {
    let (user, other) = (bench.sign_up().await, bench.sign_up().await);
    let others = bench.ask_reset(other, start()).await;
    let mut resets = Vec::new();
    for second in 0..=RESETS_PER_USER_MAX as u64 {
        resets.push(bench.ask_reset(user, at_secs(second)).await);
    }
    assert_eq!(bench.user_of_reset(&resets[0], at_secs(9)).await, None);
    for reset in &resets[1..] {
        assert_eq!(bench.user_of_reset(reset, at_secs(9)).await, Some(user));
    }
    assert_eq!(bench.user_of_reset(&others, at_secs(9)).await, Some(other));
}

pub async fn sets_a_password_once(bench: RecordBench) {
    let (account, other) = (bench.stored_account().await, bench.stored_account().await);
    let (session, _) = bench.log_in(&account, start()).await;
    let (kept, _) = bench.log_in(&other, start()).await;
    let (used, also) =
        (bench.ask_reset(account.user.id, start()).await, bench.ask_reset(account.user.id, at_secs(1)).await);
    let others = bench.ask_reset(other.user.id, start()).await;
    let ended = bench.password_resets.set_password(used.digest, new_hash(), at_secs(2)).await;
    assert_eq!(ended.expect("it is set"), [session.id]);
    let user = User { email_verified_at: Some(at_secs(2)), ..account.user.clone() };
    let expected = Account { user, password_hash: new_hash() };
    assert_eq!(bench.stored_user(account.user.id).await, Some(expected.clone()));
    for reset in [used, also] {
        let hash = PasswordHash("$argon2id$again".to_owned());
        let again = bench.password_resets.set_password(reset.digest, hash, at_secs(3)).await;
        assert_eq!(refused(again), NoSuchReset);
    }
    assert_eq!(bench.stored_user(account.user.id).await, Some(expected));
    assert_eq!(bench.live_sessions(other.user.id, at_secs(3)).await, [kept]);
    assert_eq!(bench.user_of_reset(&others, at_secs(3)).await, Some(other.user.id));
}

pub async fn verifies_the_address_with_the_password(bench: RecordBench) {
    let user = bench.sign_up().await;
    for second in [1, 3] {
        let reset = bench.ask_reset(user, at_secs(second)).await;
        bench.password_resets.set_password(reset.digest, new_hash(), at_secs(second + 1)).await.expect("it is set");
        let stored = bench.stored_user(user).await.expect("a user");
        assert_eq!(stored.user.email_verified_at, Some(at_secs(2)), "the first time");
    }
    assert_eq!(bench.read_events().await, [Event::UserEmailVerified { user, at: at_secs(2) }]);
}

pub async fn sets_a_password_once_under_contention(bench: RecordBench) {
    let user = bench.sign_up().await;
    let reset = bench.ask_reset(user, start()).await;
    let answers = at_once((0..TWENTY).map(|n| {
        let (resets, hash) = (Arc::clone(&bench.password_resets), PasswordHash(format!("$argon2id${n}")));
        async move { resets.set_password(reset.digest, hash.clone(), at_secs(1)).await.ok().map(|_| hash) }
    }))
    .await;
    let set: Vec<PasswordHash> = answers.into_iter().flatten().collect();
    let [winner] = &set[..] else { panic!("one sets it: {}", set.len()) };
    let stored = bench.stored_user(user).await.expect("a user");
    assert_eq!(&stored.password_hash, winner);
}

pub async fn sets_no_password_without_a_reset(bench: RecordBench) {
    let account = bench.stored_account().await;
    let reset = bench.ask_reset(account.user.id, start()).await;
    let set = async |digest, at| bench.password_resets.set_password(digest, new_hash(), at).await;
    assert_eq!(refused(set(digest(), start()).await), NoSuchReset);
    assert_eq!(refused(set(reset.digest, reset.expires_at).await), NoSuchReset);
    assert_eq!(bench.stored_user(account.user.id).await, Some(account.clone()));
    bench.users.delete(&account, true, at_secs(1)).await.expect("it is deleted");
    let late = bench.ask_reset(account.user.id, at_secs(1)).await;
    assert_eq!(bench.user_of_reset(&late, at_secs(2)).await, None);
    assert_eq!(refused(set(late.digest, at_secs(2)).await), NoSuchReset);
}

pub async fn ends_resets_with_the_password_they_were_for(bench: RecordBench) {
    let (changing, leaving) = (bench.stored_account().await, bench.stored_account().await);
    let of_changing = bench.ask_reset(changing.user.id, start()).await;
    let of_leaving = bench.ask_reset(leaving.user.id, start()).await;
    bench.users.change_password(&changing, new_hash(), None, at_secs(1)).await.expect("it is changed");
    bench.users.delete(&leaving, true, at_secs(1)).await.expect("it is deleted");
    for reset in [of_changing, of_leaving] {
        assert_eq!(bench.user_of_reset(&reset, at_secs(1)).await, None);
        let set = bench.password_resets.set_password(reset.digest, new_hash(), at_secs(1)).await;
        assert_eq!(refused(set), NoSuchReset);
    }
}

pub async fn lists_resets_of_a_user(bench: RecordBench) {
    let (user, other) = (bench.sign_up().await, bench.sign_up().await);
    let (first, second) = (bench.ask_reset(user, start()).await, bench.ask_reset(user, at_secs(1)).await);
    bench.ask_reset(other, start()).await;
    let of_user = async |user| bench.password_resets.of_user(user).await.expect("the store answers");
    assert_eq!(of_user(user).await, [second, first]);
    assert_eq!(of_user(id()).await, []);
}

pub async fn forgets_expired_resets(bench: RecordBench) {
    let mut resets = Vec::new();
    for second in 0..4 {
        resets.push(bench.ask_reset(bench.sign_up().await, at_secs(second)).await);
    }
    let forget = async |by, limit| bench.password_resets.forget(by, limit).await.expect("the store answers");
    assert_eq!(forget(just_before(resets[0].expires_at), 10).await, 0);
    assert_eq!(forget(resets[2].expires_at, 2).await, 2);
    assert_eq!(forget(resets[2].expires_at, 2).await, 1);
    assert_eq!(forget(resets[2].expires_at, 2).await, 0);
    assert_eq!(bench.user_of_reset(&resets[3], at_secs(5)).await, Some(resets[3].user));
}
