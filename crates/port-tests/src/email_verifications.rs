//! The cases of [`EmailVerifications`](encore_domain::ports::EmailVerifications).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::error::PortError;
use encore_domain::event::Event;
use encore_domain::identity::PasswordHash;
use encore_domain::identity::email_verification::{
    EmailVerification, NoSuchVerification, VERIFICATION_LIFETIME, VERIFICATIONS_PER_USER_MAX,
};
use encore_domain::identity::password_reset::{PasswordReset, RESET_LIFETIME};
use encore_domain::identity::session::{SECRET_BYTES, Secret, SecretDigest};
use encore_domain::ids::UserId;
use encore_domain::time::Timestamp;
use uuid::Uuid;

use crate::RecordBench;
use crate::answers::refused;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{at_secs, id, just_before, start};

/// Stamps the cases of the port `EmailVerifications`.
#[macro_export]
macro_rules! email_verifications {
    ($($with:tt)+) => {
        $crate::suite! { email_verifications [
            verifies_an_address_once,
            verifies_once_under_contention,
            keeps_the_latest_verifications_of_a_user,
            verifies_nothing_without_a_verification,
            ends_verifications_with_the_need_for_them,
            writes_an_event_of_the_first_verification,
            lists_verifications_of_a_user,
            forgets_expired_verifications,
        ] $($with)+ }
    };
}

fn digest() -> SecretDigest {
    let mut secret = [7; SECRET_BYTES];
    secret[..16].copy_from_slice(id::<Uuid>().as_bytes());
    Secret(secret).digest()
}

impl RecordBench {
    async fn ask_verification(&self, user: UserId, made_at: Timestamp) -> EmailVerification {
        let expires_at = made_at + VERIFICATION_LIFETIME;
        let verification = EmailVerification { digest: digest(), user, made_at, expires_at };
        self.email_verifications.add(verification).await.expect("the store answers");
        verification
    }

    async fn verify(&self, it: EmailVerification, at: Timestamp) -> Result<UserId, PortError<NoSuchVerification>> {
        self.email_verifications.verify(it.digest, at).await
    }

    async fn verified_at(&self, user: UserId) -> Option<Timestamp> {
        self.users.find(user).await.expect("the store answers").expect("a user").user.email_verified_at
    }

    async fn reset_password(&self, user: UserId, at: Timestamp) {
        let reset = PasswordReset { digest: digest(), user, made_at: at, expires_at: at + RESET_LIFETIME };
        self.password_resets.add(reset).await.expect("the store answers");
        let hash = PasswordHash("$argon2id$new".to_owned());
        self.password_resets.set_password(reset.digest, hash, at).await.expect("it is set");
    }
}

pub async fn verifies_an_address_once(bench: RecordBench) {
    let (user, other) = (bench.sign_up().await, bench.sign_up().await);
    let (used, also) = (bench.ask_verification(user, start()).await, bench.ask_verification(user, at_secs(1)).await);
    let others = bench.ask_verification(other, start()).await;
    assert_eq!(bench.verified_at(user).await, None);
    assert_eq!(bench.verify(used, just_before(used.expires_at)).await.expect("it is verified"), user);
    assert_eq!(bench.verified_at(user).await, Some(just_before(used.expires_at)));
    for it in [used, also] {
        assert_eq!(refused(bench.verify(it, at_secs(3)).await), NoSuchVerification);
    }
    assert_eq!(bench.verified_at(user).await, Some(just_before(used.expires_at)));
    assert_eq!(bench.verified_at(other).await, None);
    assert_eq!(bench.verify(others, at_secs(3)).await.expect("it is verified"), other);
}

pub async fn verifies_once_under_contention(bench: RecordBench) {
    let user = bench.sign_up().await;
    let verification = bench.ask_verification(user, start()).await;
    let answers = at_once((0..TWENTY as u64).map(|n| {
        let verifications = Arc::clone(&bench.email_verifications);
        async move { verifications.verify(verification.digest, at_secs(n + 1)).await.ok().map(|_| at_secs(n + 1)) }
    }))
    .await;
    let times: Vec<Timestamp> = answers.into_iter().flatten().collect();
    let [winner] = times[..] else { panic!("one verifies: {}", times.len()) };
    assert_eq!(bench.verified_at(user).await, Some(winner));
    assert_eq!(bench.read_events().await, [Event::UserEmailVerified { user, at: winner }]);
}

pub async fn keeps_the_latest_verifications_of_a_user(bench: RecordBench) {
    let (user, other) = (bench.sign_up().await, bench.sign_up().await);
    let others = bench.ask_verification(other, start()).await;
    let mut asked = Vec::new();
    for second in 0..=VERIFICATIONS_PER_USER_MAX as u64 {
        asked.push(bench.ask_verification(user, at_secs(second)).await);
    }
    assert_eq!(refused(bench.verify(asked[0], at_secs(9)).await), NoSuchVerification);
    assert_eq!(bench.verified_at(user).await, None);
    assert_eq!(bench.verify(asked[1], at_secs(9)).await.expect("the oldest that is kept"), user);
    assert_eq!(bench.verify(others, at_secs(9)).await.expect("it is kept"), other);
}

pub async fn verifies_nothing_without_a_verification(bench: RecordBench) {
    let account = bench.stored_account().await;
    let user = account.user.id;
    let verification = bench.ask_verification(user, start()).await;
    let unknown = EmailVerification { digest: digest(), ..verification };
    assert_eq!(refused(bench.verify(unknown, start()).await), NoSuchVerification);
    assert_eq!(refused(bench.verify(verification, verification.expires_at).await), NoSuchVerification);
    assert_eq!(bench.verified_at(user).await, None);
    bench.users.delete(&account, true, at_secs(1)).await.expect("it is deleted");
    let late = bench.ask_verification(user, at_secs(1)).await;
    assert_eq!(refused(bench.verify(late, at_secs(2)).await), NoSuchVerification);
}

pub async fn ends_verifications_with_the_need_for_them(bench: RecordBench) {
    let (forgetting, leaving) = (bench.stored_account().await, bench.stored_account().await);
    let of_forgetting = bench.ask_verification(forgetting.user.id, start()).await;
    let of_leaving = bench.ask_verification(leaving.user.id, start()).await;
    bench.reset_password(forgetting.user.id, at_secs(1)).await;
    bench.users.delete(&leaving, true, at_secs(1)).await.expect("it is deleted");
    assert_eq!(bench.verified_at(forgetting.user.id).await, Some(at_secs(1)));
    for verification in [of_forgetting, of_leaving] {
        assert_eq!(refused(bench.verify(verification, at_secs(2)).await), NoSuchVerification);
    }
}

pub async fn writes_an_event_of_the_first_verification(bench: RecordBench) {
    let user = bench.sign_up().await;
    let first = bench.ask_verification(user, start()).await;
    bench.verify(first, at_secs(1)).await.expect("it is verified");
    // A mail that was under way when the address was verified.
    let second = bench.ask_verification(user, at_secs(2)).await;
    bench.verify(second, at_secs(3)).await.expect("it is a verification");
    assert_eq!(bench.verified_at(user).await, Some(at_secs(1)));
    assert_eq!(bench.read_events().await, [Event::UserEmailVerified { user, at: at_secs(1) }]);
}

pub async fn lists_verifications_of_a_user(bench: RecordBench) {
    let (user, other) = (bench.sign_up().await, bench.sign_up().await);
    let (first, second) = (bench.ask_verification(user, start()).await, bench.ask_verification(user, at_secs(1)).await);
    bench.ask_verification(other, start()).await;
    let of_user = async |user| bench.email_verifications.of_user(user).await.expect("the store answers");
    assert_eq!(of_user(user).await, [second, first]);
    assert_eq!(of_user(id()).await, []);
}

pub async fn forgets_expired_verifications(bench: RecordBench) {
    let mut asked = Vec::new();
    for second in 0..4 {
        asked.push(bench.ask_verification(bench.sign_up().await, at_secs(second)).await);
    }
    let forget = async |by, limit| bench.email_verifications.forget(by, limit).await.expect("the store answers");
    assert_eq!(forget(just_before(asked[0].expires_at), 10).await, 0);
    assert_eq!(forget(asked[2].expires_at, 2).await, 2);
    assert_eq!(forget(asked[2].expires_at, 2).await, 1);
    assert_eq!(forget(asked[2].expires_at, 2).await, 0);
    assert_eq!(bench.verify(asked[3], at_secs(5)).await.expect("it is kept"), asked[3].user);
}
