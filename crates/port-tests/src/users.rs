//! The cases of [`Users`](encore_domain::ports::Users).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::identity::{Account, Email, Role};
use encore_domain::ids::UserId;
use encore_domain::ports::EmailTaken;

use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, refused, repeated};
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{account, account_with_email, altered, id, sign_up_request};

/// Stamps the cases of the port `Users`.
#[macro_export]
macro_rules! users {
    ($($with:tt)+) => {
        $crate::suite! { users [
            creates_a_user,
            refuses_a_taken_email,
            refuses_a_taken_email_under_contention,
            repeats_a_create,
            refuses_a_reused_request,
            finds_nobody,
            adds_many_at_once,
        ] $($with)+ }
    };
}

impl RecordBench {
    async fn user(&self, id: UserId) -> Option<Account> {
        self.users.find(id).await.expect("the store answers")
    }

    async fn user_by_email(&self, email: &Email) -> Option<Account> {
        self.users.find_by_email(email).await.expect("the store answers")
    }
}

pub async fn creates_a_user(bench: RecordBench) {
    let mut operator = account_with_email(id(), "Grete.Minde@Tickets.Example.ORG");
    operator.user.role = Role::Operator;
    let fan = account();
    assert_eq!(made(bench.users.create(operator.clone(), Some(sign_up_request())).await), operator);
    assert_eq!(made(bench.users.create(fan.clone(), None).await), fan);

    assert_eq!(bench.user(operator.user.id).await.as_ref(), Some(&operator));
    assert_eq!(bench.user(fan.user.id).await.as_ref(), Some(&fan));
    let as_typed = Email::parse("grete.minde@TICKETS.example.org").expect("an e-mail address");
    assert_eq!(bench.user_by_email(&as_typed).await, Some(operator));
    assert_eq!(bench.user_by_email(&fan.user.email).await, Some(fan));
}

pub async fn refuses_a_taken_email(bench: RecordBench) {
    let first = account_with_email(id(), "ada@example.com");
    let mut second = account_with_email(id(), "ADA@example.com");
    second.user.role = Role::Operator;
    made(bench.users.create(first.clone(), None).await);

    assert_eq!(refused(bench.users.create(second.clone(), Some(sign_up_request())).await), EmailTaken);
    assert_eq!(bench.user(first.user.id).await.as_ref(), Some(&first));
    assert_eq!(bench.user_by_email(&first.user.email).await, Some(first));
    assert_eq!(bench.user(second.user.id).await, None);
}

pub async fn refuses_a_taken_email_under_contention(bench: RecordBench) {
    let accounts: Vec<Account> = (0..TWENTY).map(|_| account_with_email(id(), "ada@example.com")).collect();
    let answers = at_once(accounts.iter().cloned().map(|account| {
        let users = Arc::clone(&bench.users);
        async move { users.create(account, Some(sign_up_request())).await }
    }))
    .await;

    let (created, refusals) = made_and_refused(answers);
    assert_eq!(created.len(), 1);
    assert_eq!(refusals, [EmailTaken; TWENTY - 1]);
    assert_eq!(bench.user_by_email(&accounts[0].user.email).await.as_ref(), created.first());
    for account in accounts {
        let expected = created.contains(&account).then_some(account.clone());
        assert_eq!(bench.user(account.user.id).await, expected);
    }
}

pub async fn repeats_a_create(bench: RecordBench) {
    let request = sign_up_request();
    let first = account_with_email(id(), "ada@example.com");
    let again = account_with_email(id(), "ada@example.com");
    made(bench.users.create(first.clone(), Some(request)).await);

    assert_eq!(repeated(bench.users.create(again.clone(), Some(request)).await), first);
    assert_eq!(bench.user(again.user.id).await, None);
    assert_eq!(bench.user_by_email(&first.user.email).await, Some(first));
}

pub async fn refuses_a_reused_request(bench: RecordBench) {
    let request = sign_up_request();
    let other = account();
    made(bench.users.create(account(), Some(request)).await);

    assert_reused(&bench.users.create(other.clone(), Some(altered(request))).await);
    assert_eq!(bench.user(other.user.id).await, None);
    assert_eq!(bench.user_by_email(&other.user.email).await, None);
}

pub async fn finds_nobody(bench: RecordBench) {
    made(bench.users.create(account(), None).await);
    assert_eq!(bench.user(id()).await, None);
    let unknown = Email::parse("nobody@example.com").expect("an e-mail address");
    assert_eq!(bench.user_by_email(&unknown).await, None);
}

pub async fn adds_many_at_once(bench: RecordBench) {
    let taken = account_with_email(id(), "ada@example.com");
    made(bench.users.create(taken.clone(), None).await);
    let late = account_with_email(id(), "ADA@example.com");
    let mut accounts: Vec<Account> = (0..1_000).map(|_| account()).collect();
    accounts.insert(500, late.clone());

    assert_eq!(bench.users.add_all(accounts.clone()).await.expect("the store answers"), 1_000);
    for account in [&accounts[0], &accounts[499], &accounts[501], &accounts[1_000]] {
        assert_eq!(bench.user(account.user.id).await.as_ref(), Some(account));
        assert_eq!(bench.user_by_email(&account.user.email).await.as_ref(), Some(account));
    }
    assert_eq!(bench.user(late.user.id).await, None);
    assert_eq!(bench.user_by_email(&taken.user.email).await, Some(taken));
    assert_eq!(bench.users.add_all(Vec::new()).await.expect("the store answers"), 0);
}
