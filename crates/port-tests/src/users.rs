//! The cases of [`Users`](encore_domain::ports::Users).
#![expect(missing_docs, reason = "the port's contract describes each case under its name")]

use std::sync::Arc;

use encore_domain::event::{Event, StaffCause};
use encore_domain::identity::account_change::{DeleteRefusal, OpenBusiness, ProfileChange};
use encore_domain::identity::contact::{AddressParts, Contact, Phone, PostalAddress};
use encore_domain::identity::{Account, DisplayName, Email, PasswordHash, Role, User};
use encore_domain::ids::{SessionId, UserId};
use encore_domain::ports::{AccountChanged, EmailTaken, Refreshed};

use crate::RecordBench;
use crate::answers::{assert_reused, made, made_and_refused, refused, repeated};
use crate::card_payments::plan;
use crate::contention::{TWENTY, at_once};
use crate::fixtures::{
    self, account, account_with_email, act, altered, at_secs, euros, hold, id, sign_up_request, start,
};

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
            changes_a_profile,
            changes_a_password,
            changes_a_password_only_of_the_account_that_was_checked,
            changes_a_role,
            deletes_a_user,
            deletes_nobody_with_open_business,
            deletes_only_the_account_that_was_checked,
            writes_an_event_of_each_user,
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

fn address() -> PostalAddress {
    let lines = ["Keizersgracht 1".to_owned(), "3-hoog".to_owned()];
    let parts = AddressParts {
        street_address: &lines,
        postal_code: "1015 CJ",
        locality: "Amsterdam",
        region: "",
        country: "NL",
    };
    PostalAddress::parse(&parts).expect("an address")
}

fn sorted(mut sessions: Vec<SessionId>) -> Vec<SessionId> {
    sessions.sort();
    sessions
}

pub async fn changes_a_profile(bench: RecordBench) {
    let (first, other) = (bench.stored_account().await, bench.stored_account().await);
    let phone = Phone::parse("+31 20 123 4567").expect("a number");
    let change = async |change| bench.users.change_profile(first.user.id, change).await.expect("the store answers");
    let mut expected = first.clone();
    expected.user.contact = Contact { phone: Some(phone.clone()), address: Some(address()) };
    let contact = ProfileChange { phone: Some(Some(phone)), address: Some(Some(address())), ..Default::default() };
    assert_eq!(change(contact).await.as_ref(), Some(&expected));
    assert_eq!(change(ProfileChange::default()).await.as_ref(), Some(&expected), "nothing is named");
    expected.user.display_name = DisplayName::parse("Zoë R.").expect("a name");
    expected.user.contact.phone = None;
    let name = Some(expected.user.display_name.clone());
    let named = ProfileChange { display_name: name, phone: Some(None), ..Default::default() };
    assert_eq!(change(named).await.as_ref(), Some(&expected));
    assert_eq!(bench.user(first.user.id).await, Some(expected));
    assert_eq!(bench.user(other.user.id).await, Some(other));
    assert_eq!(bench.users.change_profile(id(), ProfileChange::default()).await.expect("the store answers"), None);
}

pub async fn changes_a_password(bench: RecordBench) {
    let (account, other) = (bench.stored_account().await, bench.stored_account().await);
    let (kept, _) = bench.log_in(&account, start()).await;
    let (first, token) = bench.log_in(&account, start()).await;
    let (second, _) = bench.log_in(&account, start()).await;
    let (others, _) = bench.log_in(&other, start()).await;
    let hash = PasswordHash("$argon2id$new".to_owned());
    let ended = bench.users.change_password(&account, hash.clone(), Some(kept.id), at_secs(1)).await;
    assert_eq!(sorted(ended.expect("it is changed")), [first.id, second.id]);
    let changed = Account { password_hash: hash, ..account.clone() };
    assert_eq!(bench.user(account.user.id).await.as_ref(), Some(&changed));
    let live = bench.live_sessions(account.user.id, at_secs(1)).await;
    assert_eq!(live.iter().map(|session| session.id).collect::<Vec<_>>(), [kept.id]);
    assert_eq!(bench.show_refresh_token(&token, 1, at_secs(1)).await, Refreshed::Refused);
    let ended = bench.users.change_password(&changed, account.password_hash.clone(), None, at_secs(2)).await;
    assert_eq!(ended.expect("it is changed"), [kept.id]);
    assert_eq!(bench.live_sessions(other.user.id, at_secs(2)).await, [others]);
}

pub async fn changes_a_password_only_of_the_account_that_was_checked(bench: RecordBench) {
    let stored = bench.stored_account().await;
    let (session, _) = bench.log_in(&stored, start()).await;
    let outdated = Account { password_hash: PasswordHash("$argon2id$old".to_owned()), ..stored.clone() };
    for checked in [outdated, account()] {
        let hash = PasswordHash("$argon2id$new".to_owned());
        assert_eq!(refused(bench.users.change_password(&checked, hash, None, at_secs(1)).await), AccountChanged);
    }
    assert_eq!(bench.user(stored.user.id).await.as_ref(), Some(&stored));
    assert_eq!(bench.live_sessions(stored.user.id, at_secs(1)).await, [session]);
}

pub async fn changes_a_role(bench: RecordBench) {
    let account = bench.stored_account().await;
    let user = account.user.id;
    let (first, _) = bench.log_in(&account, start()).await;
    let change = async |id, role| bench.users.change_role(id, role, at_secs(1), None).await.expect("the store answers");
    assert_eq!(change(user, Role::Fan).await, Some(Vec::new()));
    assert_eq!(bench.live_sessions(user, at_secs(1)).await.len(), 1);
    assert_eq!(change(user, Role::Operator).await, Some(vec![first.id]));
    assert_eq!(bench.user(user).await.map(|account| account.user.role), Some(Role::Operator));
    assert_eq!(bench.live_sessions(user, at_secs(1)).await, []);
    assert_eq!(change(id(), Role::Operator).await, None);
}

pub async fn deletes_a_user(bench: RecordBench) {
    let account = made(bench.users.create(account_with_email(id(), "ada@example.com"), None).await);
    let (user, email) = (account.user.id, account.user.email.clone());
    let (session, token) = bench.log_in(&account, start()).await;
    bench.top_up(user, euros(500)).await;
    let phone = Phone::parse("+31201234567").ok();
    let contact = ProfileChange { phone: Some(phone), address: Some(Some(address())), ..Default::default() };
    bench.users.change_profile(user, contact).await.expect("the store answers");
    let ended = bench.users.delete(&account, true, at_secs(1)).await.expect("it is deleted");
    assert_eq!(ended, [session.id]);
    assert_eq!(bench.user(user).await, None);
    assert_eq!(bench.user_by_email(&email).await, None);
    let (placeholder, _) = User::without_person(user);
    assert_eq!(bench.user_by_email(&placeholder).await, None, "nor by what stands for the address");
    assert_eq!(bench.live_sessions(user, at_secs(1)).await, []);
    assert_eq!(bench.show_refresh_token(&token, 1, at_secs(1)).await, Refreshed::Refused);
    assert_eq!(bench.balances(user).await, [euros(500)], "the books stay");
    assert_eq!(bench.users.change_profile(user, ProfileChange::default()).await.expect("the store answers"), None);
    assert_eq!(bench.users.change_role(user, Role::Operator, at_secs(2), None).await.expect("the store answers"), None);
    let next = account_with_email(id(), "ada@example.com");
    assert_eq!(made(bench.users.create(next.clone(), None).await), next);
    assert_eq!(bench.user_by_email(&email).await, Some(next));
}

pub async fn deletes_nobody_with_open_business(bench: RecordBench) {
    let sale = bench.open_sale().await;
    let [holding, paying, seated, rich] = [
        bench.stored_account().await,
        bench.stored_account().await,
        bench.stored_account().await,
        bench.stored_account().await,
    ];
    let held = hold(holding.user.id, &sale, &[0]);
    bench.place(&held).await;
    let charged = hold(paying.user.id, &sale, &[1]);
    bench.place(&charged).await;
    bench.start(&plan(&charged, at_secs(1))).await;
    bench.buy(&hold(seated.user.id, &sale, &[2])).await;
    bench.top_up(rich.user.id, euros(1)).await;
    let open = |reservations, card_payments, balances: &[_]| {
        DeleteRefusal::Open(OpenBusiness { reservations, card_payments, balances: balances.to_vec() })
    };
    let delete = async |account: &Account, gives_up, at| bench.users.delete(account, gives_up, at).await;
    assert_eq!(refused(delete(&holding, true, at_secs(1)).await), open(1, 0, &[]));
    assert_eq!(refused(delete(&paying, true, at_secs(1)).await), open(1, 1, &[]));
    assert_eq!(refused(delete(&seated, true, at_secs(1)).await), open(1, 0, &[]));
    assert_eq!(refused(delete(&rich, false, at_secs(1)).await), open(0, 0, &[euros(1)]));
    for account in [&holding, &paying, &seated, &rich] {
        assert_eq!(bench.user(account.user.id).await.as_ref(), Some(account));
    }
    delete(&holding, false, held.expires_at).await.expect("the hold has expired");
    delete(&seated, false, sale.starts_at).await.expect("the show has begun");
    delete(&rich, true, at_secs(1)).await.expect("the balance is given up");
}

pub async fn deletes_only_the_account_that_was_checked(bench: RecordBench) {
    let stored = bench.stored_account().await;
    let outdated = Account { password_hash: PasswordHash("$argon2id$old".to_owned()), ..stored.clone() };
    for checked in [outdated, account()] {
        assert_eq!(refused(bench.users.delete(&checked, true, at_secs(1)).await), DeleteRefusal::Changed);
    }
    assert_eq!(bench.user(stored.user.id).await, Some(stored));
}

pub async fn writes_an_event_of_each_user(bench: RecordBench) {
    let (request, ada) = (sign_up_request(), account_with_email(id(), "ada@example.com"));
    made(bench.users.create(ada.clone(), Some(request)).await);
    repeated(bench.users.create(account(), Some(request)).await);
    refused(bench.users.create(account_with_email(id(), "ada@example.com"), None).await);
    bench.users.add_all(vec![account()]).await.expect("the store answers");
    let bob = made(bench.users.create(account(), None).await);

    let act = act(fixtures::request(bob.user.id));
    let user = ada.user.id;
    for _ in 0..2 {
        let changed = bench.users.change_role(user, Role::Support, at_secs(1), Some(act.clone())).await;
        assert_eq!(changed.expect("the store answers"), Some(Vec::new()), "the second changes nothing");
    }
    let outdated = Account { password_hash: PasswordHash("$argon2id$old".to_owned()), ..ada.clone() };
    refused(bench.users.delete(&outdated, true, at_secs(2)).await);
    bench.users.delete(&ada, true, at_secs(3)).await.expect("it is deleted");

    let signed_up = |account: &Account, request| Event::UserSignedUp {
        user: account.user.id,
        request,
        at: account.user.created_at,
    };
    let role_changed =
        Event::UserRoleChanged { user, before: Role::Fan, after: Role::Support, cause: StaffCause::from(&act) };
    let deleted = Event::UserDeleted { user, at: at_secs(3) };
    let expected = [signed_up(&ada, Some(request.id)), signed_up(&bob, None), role_changed, deleted];
    assert_eq!(bench.read_events().await, expected);
}
