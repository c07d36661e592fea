//! No fan takes more than a share of the stores.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::ids::{PaymentId, TransferId, UserId};
use encore_domain::money::Money;
use encore_domain::page::{Page, PageRequest};
use encore_domain::ports::Wallets;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::{LedgerEntry, TopUpRefusal, Transfer, WalletEntry, WalletEntryCursor};
use encore_grpc::{ConnectionLimits, GuardedRpcs};
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::clock::TestClock;
use encore_tests::in_memory::Instance;
use encore_tests::world::{World, embedded_ports, until};
use futures::future::join_all;
use tokio::sync::Semaphore;

use crate::quota::quota;

/// Wallets whose top-ups wait until the test lets them through.
struct Slow {
    wallets: Arc<dyn Wallets>,
    under_way: AtomicUsize,
    pass: Semaphore,
}

#[async_trait]
impl Wallets for Slow {
    async fn top_up(
        &self,
        transfer: Transfer,
        request: RequestKey,
    ) -> Result<Applied<WalletEntry>, RequestError<TopUpRefusal>> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let _passed = self.pass.acquire().await.expect("the test runs");
        self.wallets.top_up(transfer, request).await
    }

    async fn find_topped_up(&self, request: RequestKey) -> Result<Option<WalletEntry>, RequestError<Infallible>> {
        self.wallets.find_topped_up(request).await
    }

    async fn find_charged(&self, user: UserId, payment: PaymentId) -> Result<Option<WalletEntry>, Unavailable> {
        self.wallets.find_charged(user, payment).await
    }

    async fn balances(&self, user: UserId) -> Result<Vec<Money>, Unavailable> {
        self.wallets.balances(user).await
    }

    async fn entries(
        &self,
        user: UserId,
        page: PageRequest<WalletEntryCursor>,
    ) -> Result<Page<WalletEntry, WalletEntryCursor>, Unavailable> {
        self.wallets.entries(user, page).await
    }

    async fn ledger_entries(&self, transfer: TransferId) -> Result<Vec<LedgerEntry>, Unavailable> {
        self.wallets.ledger_entries(transfer).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fan_who_sends_hundreds_of_calls_takes_a_few_places_and_others_go_on() {
    const CALLS: usize = 120;
    // The pace of a fan's calls is another limit.
    let limits = ConnectionLimits { calls_per_user_per_second: 1_000, ..ConnectionLimits::default() };
    let share = limits.stores_per_user_max;
    let ports = embedded_ports(Arc::new(TestClock::default()));
    let wallets =
        Arc::new(Slow { wallets: Arc::clone(&ports.wallets), under_way: AtomicUsize::new(0), pass: Semaphore::new(0) });
    let world = World::embedded().await;
    let ports = Ports { wallets: Arc::<Slow>::clone(&wallets), ..ports };
    let encore = Encore::new(ports, GuardedRpcs::default()).limiting(limits);
    let instance = Instance::start_without_workers(encore).await;
    let (greedy, other) = (world.fan_without_account(&instance.channel), world.fan_without_account(&instance.channel));
    let flood = tokio::spawn({
        let greedy = greedy.clone();
        async move { join_all((0..CALLS).map(|_| greedy.top_up(100))).await }
    });
    until("the share is taken", || async { wallets.under_way.load(Ordering::SeqCst) == share }).await;
    other.balance().await.expect("another fan's call");
    let others = tokio::spawn(async move { other.top_up(100).await });
    until("another fan's call is under way", || async { wallets.under_way.load(Ordering::SeqCst) == share + 1 }).await;
    wallets.pass.add_permits(1);
    others.await.expect("no panic").expect("another fan's top-up");
    let answers = flood.await.expect("no panic");
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    let refused = refused.inspect(|refusal| assert_eq!(quota(refusal), "calls_at_once")).count();
    assert!(refused >= CALLS - share - 64 && refused < CALLS, "{refused} calls are told to retry");
    // Nothing was done for those who were refused.
    let done = i64::try_from(CALLS - refused).expect("few");
    assert_eq!(greedy.balance().await.expect("a balance"), done * 100);
}
