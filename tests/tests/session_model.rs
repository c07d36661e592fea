//! A model of clients that refresh their sessions while answers are lost and calls run at the same time, and of thieves with copies of
//! old tokens. No client that keeps to the contract is logged out, and every session of which an old token is used ends.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use encore_app::sessions::{SessionParts, SessionUseCases};
use encore_domain::identity::session::{ACCESS_TOKEN_LIFETIME_MAX, LOST_ANSWER_WINDOW, RefreshToken, SessionTerms};
use encore_domain::ports::Clock;
use encore_port_tests::fixtures;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::world::{World, embedded_ports};
use futures::future::join_all;

/// A generator of numbers that repeats from its seed (Marsaglia's xorshift64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

fn use_cases(ports: &Ports) -> SessionUseCases {
    SessionUseCases::new(SessionParts {
        sessions: Arc::clone(&ports.sessions),
        users: Arc::clone(&ports.users),
        access_tokens: Arc::clone(&ports.access_tokens),
        clock: Arc::clone(&ports.clock),
        ids: Arc::clone(&ports.ids),
    })
}

/// A client, which knows its latest token and keeps to the contract.
struct Client {
    token: RefreshToken,
    /// What it had before. The last of them may still be shown, if the current one was not used.
    old: Vec<RefreshToken>,
}

/// What happened to all clients.
#[derive(Debug, Default)]
struct Tally {
    refreshes: u64,
    lost: u64,
    replays: u64,
}

struct Model<'a> {
    instances: Vec<SessionUseCases>,
    ports: &'a Ports,
    clock: &'a TestClock,
    dice: Dice,
    tally: Tally,
}

impl Model<'_> {
    async fn log_in(&mut self) -> Client {
        let account = fixtures::account();
        self.ports.users.create(account.clone(), None).await.expect("a new user");
        let started = self.instances[0].start(&account, None).await.expect("a session");
        Client { token: started.refresh, old: Vec::new() }
    }

    /// Shows a token in several calls at once, on any instances.
    async fn show(&mut self, token: &RefreshToken, calls: u64) -> Vec<Option<RefreshToken>> {
        self.tally.refreshes += calls;
        let instances: Vec<SessionUseCases> = (0..calls)
            .map(|_| self.dice.below(self.instances.len() as u64))
            .map(|at| self.instances[usize::try_from(at).expect("few")].clone())
            .collect();
        join_all(instances.into_iter().map(|instance| {
            let token = token.clone();
            tokio::spawn(async move { instance.refresh(&token).await.ok().map(|tokens| tokens.refresh) })
        }))
        .await
        .into_iter()
        .map(|answer| answer.expect("the call does not panic"))
        .collect()
    }

    /// Refreshes until an answer arrives. Answers may be lost, for less than the window in all, and calls may run at the same time.
    async fn refresh(&mut self, client: &mut Client) {
        let mut left = LOST_ANSWER_WINDOW;
        loop {
            let calls = if self.dice.one_in(4) { 2 + self.dice.below(3) } else { 1 };
            let answers = self.show(&client.token, calls).await;
            let mut children = answers.into_iter().map(|answer| answer.expect("no false log-out"));
            let child = children.next().expect("an answer");
            assert!(children.all(|other| other == child), "parallel calls agree");
            if !self.dice.one_in(3) {
                client.old.push(std::mem::replace(&mut client.token, child));
                return;
            }
            self.tally.lost += 1;
            let pause = Duration::from_millis(self.dice.below(20_000)).min(left);
            left -= pause;
            self.clock.advance(pause);
        }
    }

    /// Somebody uses a copy of an old token, whose child was used or which is too old.
    async fn replay(&mut self, client: &mut Client) -> bool {
        if self.dice.one_in(2) && client.old.len() > 1 {
            let of = self.dice.below(client.old.len() as u64 - 1);
            let copy = client.old[usize::try_from(of).expect("few")].clone();
            assert_eq!(self.show(&copy, 1).await, [None], "a real replay");
        } else if let Some(copy) = client.old.last().cloned() {
            self.clock.advance(LOST_ANSWER_WINDOW + Duration::from_millis(1));
            assert_eq!(self.show(&copy, 1).await, [None], "a real replay");
        } else {
            return false;
        }
        self.tally.replays += 1;
        assert_eq!(self.show(&client.token.clone(), 1).await, [None], "the session has ended");
        true
    }

    async fn run(&mut self, clients: usize, refreshes: u64) {
        let mut live: HashMap<usize, Client> = HashMap::new();
        for number in 0..clients {
            live.insert(number, self.log_in().await);
        }
        while self.tally.refreshes < refreshes {
            let number = usize::try_from(self.dice.below(clients as u64)).expect("few");
            let mut client = live.remove(&number).expect("each is live");
            self.refresh(&mut client).await;
            if self.dice.one_in(50) && self.replay(&mut client).await {
                client = self.log_in().await;
            }
            live.insert(number, client);
            self.clock.advance(Duration::from_millis(self.dice.below(1_000)));
        }
        let Tally { lost, replays, .. } = self.tally;
        assert!(lost > refreshes / 20 && replays > refreshes / 1_000, "{:?}", self.tally);
    }
}

#[tokio::test]
async fn an_ended_session_is_refused_as_long_as_any_access_token_may_live() {
    let clock = Arc::new(TestClock::default());
    let ports = embedded_ports(Arc::clone(&clock));
    let account = fixtures::account();
    ports.users.create(account.clone(), None).await.expect("a new user");
    let day = ACCESS_TOKEN_LIFETIME_MAX;
    let longest = use_cases(&ports).lasting(SessionTerms { access_token: day, ..SessionTerms::default() });
    let session = longest.start(&account, None).await.expect("a session").session.id;
    ports.sessions.end(account.user.id, session, clock.now()).await.expect("the store answers");
    // The next release has a shorter lifetime.
    clock.advance(day.saturating_sub(Duration::from_millis(1)));
    let shortest = use_cases(&ports).lasting(SessionTerms::default());
    for use_cases in [longest, shortest] {
        use_cases.follow_ended().await.expect("the store answers");
        assert!(use_cases.ended().contains(session));
    }
}

async fn check(ports: &[Ports], clock: &TestClock, seed: u64, clients: usize, refreshes: u64) {
    let instances = ports.iter().map(use_cases).collect();
    let mut model = Model { instances, ports: &ports[0], clock, dice: Dice(seed), tally: Tally::default() };
    model.run(clients, refreshes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_is_logged_out_and_every_replay_ends_its_session() {
    let clock = Arc::new(TestClock::default());
    let ports = embedded_ports(Arc::clone(&clock));
    assert_eq!(ports.clock.now(), clock.now());
    check(&[ports], &clock, 0x5EED_0001, 200, 100_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_is_logged_out_and_every_replay_ends_its_session_on_two_instances() {
    let world = World::durable(2).await;
    let ports = [world.ports.clone(), world.ports.clone()];
    check(&ports, &world.clock, 0x5EED_0002, 50, 4_000).await;
}
