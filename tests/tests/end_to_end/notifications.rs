use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::booking::Reservation;
use encore_domain::catalog::Performance;
use encore_domain::error::Unavailable;
use encore_domain::identity::PasswordHash;
use encore_domain::ids::UserId;
use encore_domain::mail::Mail;
use encore_domain::ports::Mailer;
use encore_events::{Notifier, NotifierParts};
use encore_port_tests::fixtures;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::world::{embedded_ports, variable};
use tokio_util::sync::CancellationToken;

/// Keeps mails. It can refuse those to some addresses: for good, or for now.
#[derive(Default)]
struct TestMailer {
    sent: Mutex<Vec<Mail>>,
    refusals: Mutex<HashMap<String, Refusal>>,
}

#[derive(Clone, Copy)]
enum Refusal {
    ForGood,
    ForNow,
}

#[async_trait]
impl Mailer for TestMailer {
    async fn send(&self, mail: &Mail) -> Result<(), Unavailable> {
        match self.refusals.lock().expect("not poisoned").get(mail.to.as_str()) {
            Some(Refusal::ForGood) => Err(Unavailable::defect("mail", "there is no such mailbox")),
            Some(Refusal::ForNow) => Err(Unavailable::new("mail", "try again later")),
            None => {
                self.sent.lock().expect("not poisoned").push(mail.clone());
                Ok(())
            }
        }
    }
}

struct Bench {
    clock: Arc<TestClock>,
    ports: Ports,
    mailer: Arc<TestMailer>,
    performance: Performance,
    _database: Option<ScratchDatabase>,
}

impl Bench {
    async fn on(clock: Arc<TestClock>, ports: Ports, database: Option<ScratchDatabase>) -> Self {
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        let performance = fixtures::performance(concert.id, venue.id);
        ports.catalog.add_venue(venue, None).await.expect("a venue");
        ports.catalog.add_concert(concert, None).await.expect("a concert");
        ports.catalog.add_performance(performance.clone(), None, None).await.expect("a performance");
        Self { clock, ports, mailer: Arc::default(), performance, _database: database }
    }

    /// On the embedded stores, and on Postgres.
    async fn both() -> [Self; 2] {
        let clock = Arc::new(TestClock::default());
        let embedded = Self::on(Arc::clone(&clock), embedded_ports(clock), None).await;
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let clock = Arc::new(TestClock::default());
        let ports = embedded_ports(Arc::clone(&clock)).on_postgres(&database.config()).await;
        [embedded, Self::on(clock, ports.expect("Postgres is available"), Some(database)).await]
    }

    fn notifier(&self) -> Notifier {
        let Ports { outbox, notifier_cursor, notifications, users, catalog, clock, ids, .. } = self.ports.clone();
        let (cursor, mailer) = (notifier_cursor, Arc::clone(&self.mailer) as Arc<dyn Mailer>);
        Notifier::new(NotifierParts { outbox, cursor, notifications, users, catalog, mailer, clock, ids })
    }

    /// A new fan with an address.
    async fn fan(&self) -> (UserId, String) {
        let account = fixtures::account();
        let (fan, email) = (account.user.id, account.user.email.as_str().to_owned());
        self.ports.users.create(account, None).await.expect("a user");
        (fan, email)
    }

    /// Holds a seat and pays it.
    async fn buy(&self, fan: UserId, seat: usize) -> Reservation {
        let hold = fixtures::hold(fan, &self.performance, &[seat]);
        let request = || fixtures::request(fan);
        self.ports.reservations.place(hold.clone(), 6, None, request()).await.expect("a hold");
        self.ports.wallets.top_up(fixtures::top_up(fan, hold.total), request()).await.expect("money");
        let plan = fixtures::payment(&hold, hold.held_at);
        self.ports.payments.pay_from_wallet(plan, request()).await.expect("a payment");
        self.ports.outbox.close_window().await.expect("the store answers");
        hold
    }

    fn refuse(&self, email: &str, refusal: Option<Refusal>) {
        let mut refusals = self.mailer.refusals.lock().expect("not poisoned");
        match refusal {
            Some(refusal) => refusals.insert(email.to_owned(), refusal),
            None => refusals.remove(email),
        };
    }

    /// To whom mails were sent, in any order.
    fn told(&self) -> Vec<String> {
        let sent = self.mailer.sent.lock().expect("not poisoned");
        let mut told: Vec<String> = sent.iter().map(|mail| mail.to.as_str().to_owned()).collect();
        told.sort_unstable();
        told
    }
}

async fn step(notifier: &Notifier) -> Result<(), Unavailable> {
    notifier.step(&CancellationToken::new()).await
}

fn sorted<const N: usize>(emails: [&String; N]) -> Vec<String> {
    let mut emails: Vec<String> = emails.into_iter().cloned().collect();
    emails.sort_unstable();
    emails
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
