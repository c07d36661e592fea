use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::OutboxPlace;
use encore_domain::event::message::PublishOutcome;
use encore_domain::identity::PasswordHash;
use encore_domain::ids::UserId;
use encore_domain::ports::{MockEventPublisher, MockUsers, Notifications};
use encore_domain::time::Timestamp;
use encore_grpc::GuardedRpcs;
use encore_port_tests::fixtures;
use encore_server::encore::Encore;
use encore_tests::in_memory::Instance;
use encore_tests::world::until;
use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::mail_bench::{Bench, Refusal, sorted, step};

/// Notes, and counts how often something was noted.
struct CountedNotes {
    notifications: Arc<dyn Notifications>,
    calls: AtomicUsize,
}

#[async_trait]
impl Notifications for CountedNotes {
    async fn noted(&self, events: &[String]) -> Result<HashSet<String>, Unavailable> {
        self.notifications.noted(events).await
    }

    async fn note(&self, events: &[String], at: Timestamp) -> Result<(), Unavailable> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.notifications.note(events, at).await
    }

    async fn forget(&self, before: Timestamp, limit: u32) -> Result<u64, Unavailable> {
        self.notifications.forget(before, limit).await
    }
}

/// The users of a bench, of whom one cannot be found while the switch is on.
fn users_without(bench: &Bench, fan: UserId, why: fn() -> Unavailable) -> (Arc<MockUsers>, Arc<AtomicBool>) {
    let (stored, is_failing) = (Arc::clone(&bench.ports.users), Arc::new(AtomicBool::new(true)));
    let (mut users, switch) = (MockUsers::new(), Arc::clone(&is_failing));
    users.expect_find().returning(move |id| {
        if id == fan && switch.load(Ordering::SeqCst) {
            Err(why())
        } else {
            stored.find(id).now_or_never().expect("the store is in process")
        }
    });
    (Arc::new(users), is_failing)
}

#[tokio::test]
async fn a_fan_is_told_once_of_what_happens_from_now_on() {
    for bench in Bench::both().await {
        let [(early, _), (fan, email)] = [bench.fan().await, bench.fan().await];
        bench.buy(early, 0).await;
        let notifier = bench.notifier();
        step(&notifier).await.expect("it begins");
        let bought = bench.buy(fan, 1).await;
        for _ in 0..2 {
            step(&notifier).await.expect("the mailer answers");
        }
        assert_eq!(bench.told(), std::slice::from_ref(&email));
        let mail = bench.mailer.sent.lock().expect("not poisoned")[0].clone();
        assert!(mail.subject.contains("Winterreise") && mail.text.contains("Stalls A-2"), "{}", mail.text);
        assert!(mail.text.contains(&bought.id.to_string()), "{}", mail.text);
        notifier.release().await.expect("the store answers");
        step(&bench.notifier()).await.expect("another goes on");
        assert_eq!(bench.told(), [email]);
    }
}

#[tokio::test]
async fn a_fan_is_told_what_became_of_a_refund_to_a_card() {
    for bench in Bench::both().await {
        let (fan, email) = bench.fan().await;
        let notifier = bench.notifier();
        step(&notifier).await.expect("it begins");
        bench.withdraw_in_vain(fan).await;
        for _ in 0..2 {
            step(&notifier).await.expect("the mailer answers");
        }
        assert_eq!(bench.told(), [email.clone(), email]);
        let subjects: Vec<String> =
            bench.mailer.sent.lock().expect("not poisoned").iter().map(|mail| mail.subject.clone()).collect();
        assert!(subjects.contains(&"Refunded: 7.00 EUR".to_owned()), "{subjects:?}");
        assert!(subjects.contains(&"Refunded to your wallet: 7.00 EUR".to_owned()), "{subjects:?}");
    }
}

#[tokio::test]
async fn a_mail_that_is_not_accepted_is_tried_again_and_no_other_is_sent_twice() {
    for bench in Bench::both().await {
        let [(one, first), (two, second)] = [bench.fan().await, bench.fan().await];
        let notifier = bench.notifier();
        step(&notifier).await.expect("it begins");
        bench.refuse(&first, Some(Refusal::ForNow));
        bench.buy(one, 0).await;
        bench.buy(two, 1).await;
        step(&notifier).await.expect_err("a mail is left");
        assert_eq!(bench.told(), std::slice::from_ref(&second));
        step(&notifier).await.expect("it waits");
        bench.refuse(&first, None);
        bench.clock.advance(Duration::from_secs(30));
        step(&notifier).await.expect("all are accepted");
        assert_eq!(bench.told(), sorted([&first, &second]));

        // Another one that begins where the first was before it saved its cursor.
        bench.refuse(&first, Some(Refusal::ForNow));
        bench.buy(one, 2).await;
        bench.buy(two, 3).await;
        step(&notifier).await.expect_err("a mail is left");
        bench.refuse(&first, None);
        bench.clock.advance(Duration::from_secs(30));
        step(&bench.notifier()).await.expect("it takes over");
        assert_eq!(bench.told(), sorted([&first, &first, &second, &second]));
    }
}

#[tokio::test]
async fn a_mail_that_can_never_be_sent_holds_up_no_other() {
    for bench in Bench::both().await {
        let [(one, first), (two, second)] = [bench.fan().await, bench.fan().await];
        let notifier = bench.notifier();
        step(&notifier).await.expect("it begins");
        bench.refuse(&first, Some(Refusal::ForGood));
        bench.buy(one, 0).await;
        step(&notifier).await.expect("it is given up");
        bench.refuse(&first, None);
        bench.buy(two, 1).await;
        step(&notifier).await.expect("all are accepted");
        assert_eq!(bench.told(), [second]);
    }
}

#[tokio::test]
async fn nobody_is_told_who_has_no_mailbox_or_of_what_is_old() {
    for bench in Bench::both().await {
        let notifier = bench.notifier();
        step(&notifier).await.expect("it begins");
        let mut account = fixtures::account();
        account.password_hash = PasswordHash::of_nothing();
        let fan = account.user.id;
        bench.ports.users.create(account, None).await.expect("a user of a rehearsal");
        bench.buy(fan, 0).await;
        step(&notifier).await.expect("nobody is told");
        let (fan, _) = bench.fan().await;
        bench.buy(fan, 1).await;
        bench.clock.advance(Duration::from_hours(73));
        step(&notifier).await.expect("nobody is told");
        assert_eq!(bench.told(), [""; 0]);
    }
}

#[tokio::test]
async fn what_was_sent_is_noted_at_once_before_an_outage_is_returned() {
    let mut bench = Bench::embedded().await;
    let fans = [bench.fan().await, bench.fan().await, bench.fan().await];
    let notes = Arc::new(CountedNotes { notifications: Arc::clone(&bench.ports.notifications), calls: 0.into() });
    let (users, is_failing) = users_without(&bench, fans[1].0, || Unavailable::of("users"));
    bench.ports.notifications = notes.clone();
    bench.ports.users = users;
    let notifier = bench.notifier();
    step(&notifier).await.expect("it begins");
    for (seat, (fan, _)) in fans.iter().enumerate() {
        bench.buy(*fan, seat).await;
    }
    step(&notifier).await.expect_err("a fan cannot be found");
    assert_eq!(bench.told(), sorted([&fans[0].1, &fans[2].1]));
    assert_eq!(notes.calls.load(Ordering::SeqCst), 1);
    is_failing.store(false, Ordering::SeqCst);
    step(&notifier).await.expect("all are accepted");
    assert_eq!(bench.told(), sorted([&fans[0].1, &fans[1].1, &fans[2].1]), "each is told once");
}

#[tokio::test]
async fn all_old_notes_are_deleted_at_once() {
    let bench = Bench::embedded().await;
    let notes: Vec<String> = (0..10_001).map(|number| format!("kind/{number}")).collect();
    bench.ports.notifications.note(&notes, fixtures::start()).await.expect("the store answers");
    bench.clock.advance(Duration::from_hours(24 * 7 + 1));
    bench.notifier().forget(&CancellationToken::new()).await.expect("the store answers");
    assert_eq!(bench.ports.notifications.noted(&notes).await.expect("the store answers"), HashSet::new());
}

#[tokio::test]
async fn more_mailboxes_that_accept_nothing_than_can_be_left_stop_no_mail_for_ever() {
    let bench = Bench::embedded().await;
    let notifier = bench.notifier();
    step(&notifier).await.expect("it begins");
    for _ in 0..5 {
        let performance = bench.other_performance().await;
        for seat in 0..21 {
            let (fan, email) = bench.fan().await;
            bench.refuse(&email, Some(Refusal::ForNow));
            bench.buy_of(&performance, fan, seat).await;
        }
    }
    let (fan, accepting) = bench.fan().await;
    bench.buy(fan, 0).await;
    for _ in 0..12 {
        step(&notifier).await.expect_err("mails are left");
        bench.clock.advance(Duration::from_secs(30));
    }
    assert_eq!(bench.told(), [accepting]);
}

#[tokio::test]
async fn a_fan_who_cannot_be_read_holds_up_no_other() {
    let mut bench = Bench::embedded().await;
    let [(one, _), (two, second)] = [bench.fan().await, bench.fan().await];
    let (users, _) = users_without(&bench, one, || Unavailable::defect("users", "a row that cannot be read"));
    bench.ports.users = users;
    let notifier = bench.notifier();
    step(&notifier).await.expect("it begins");
    bench.buy(one, 0).await;
    bench.buy(two, 1).await;
    step(&notifier).await.expect("one is given up");
    assert_eq!(bench.told(), [second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_keeps_what_fans_may_still_be_told() {
    for is_telling in [true, false] {
        let mut bench = Bench::embedded().await;
        let (fan, _) = bench.fan().await;
        let published = Arc::new(AtomicUsize::new(0));
        let (mut publisher, count) = (MockEventPublisher::new(), Arc::clone(&published));
        publisher.expect_publish().returning(move |batch| {
            count.fetch_add(batch.len(), Ordering::SeqCst);
            Ok(vec![PublishOutcome::Published; batch.len()])
        });
        bench.ports.publisher = Some(Arc::new(publisher));
        bench.ports.mailer = Some(bench.mailer.clone());
        bench.top_up(fan, 1).await;
        bench.clock.advance(Duration::from_hours(2));
        let encore =
            Encore::new(bench.ports.clone(), GuardedRpcs::default()).keeping_events_for(Duration::from_hours(1));
        let _instance = Instance::start(if is_telling { encore } else { encore.without_notifications() }).await;
        until("the first event", || async { published.load(Ordering::SeqCst) == 1 }).await;
        // What is old is deleted before this one is published.
        bench.top_up(fan, 1).await;
        until("the second event", || async { published.load(Ordering::SeqCst) == 2 }).await;
        let kept = bench.ports.outbox.after(OutboxPlace::default(), 10).await.expect("the store answers").records;
        assert_eq!(kept.len(), if is_telling { 2 } else { 1 }, "{kept:?}");
    }
}
