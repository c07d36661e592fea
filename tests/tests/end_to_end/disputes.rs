//! Cardholders dispute charges: money goes back once, whatever is cancelled meanwhile.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use encore_app::reconciliation::Reconciler;
use encore_domain::error::Unavailable;
use encore_domain::ids::{PaymentId, RefundId};
use encore_domain::money::Money;
use encore_domain::payment::attempt::{Outcome, Progress, Step};
use encore_domain::payment::card::CardPayment;
use encore_domain::payment::card_change::{CardChange, CardChangeIds, Change, TakeUp};
use encore_domain::payment::gateway::{Charge, ChargeStatus, DisputeStatus, GatewayView, RefundStatus};
use encore_domain::ports::{Clock, PaymentGateway};
use encore_domain::wallet::TransferIds;
use encore_grpc::GuardedRpcs;
use encore_payment_gateway::{APPROVE, REFUND_FAILS_LATER, SandboxGateway};
use encore_port_tests::fixtures;
use encore_proto::payment::v1::PaymentState;
use encore_server::encore::Encore;
use encore_server::ports::Ports;
use encore_tests::fan::Fan;
use encore_tests::in_memory::Instance;
use encore_tests::world::World;

/// The sandbox, at which a dispute is as the test says. It refuses refunds of what is disputed, and keeps no record of them.
#[derive(Default)]
struct Disputable {
    sandbox: SandboxGateway,
    dispute: Mutex<Option<DisputeStatus>>,
}

impl Disputable {
    fn says(&self, status: DisputeStatus) {
        *self.dispute.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }
}

#[async_trait]
impl PaymentGateway for Disputable {
    fn captures_at_once(&self) -> bool {
        self.sandbox.captures_at_once()
    }

    async fn authorize(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.sandbox.authorize(charge).await
    }

    async fn capture(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.sandbox.capture(charge).await
    }

    async fn void(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.sandbox.void(charge).await
    }

    async fn refund(&self, charge: &Charge, refund: RefundId, amount: Money) -> Result<GatewayView, Unavailable> {
        match self.dispute(charge).await? {
            Some(DisputeStatus::Open | DisputeStatus::Lost) => {
                let view = self.look_up(charge).await?;
                let mut view = view.unwrap_or_else(|| GatewayView::of(ChargeStatus::Captured));
                view.refunds.push((refund, RefundStatus::Failed));
                Ok(view)
            }
            Some(DisputeStatus::Won) | None => self.sandbox.refund(charge, refund, amount).await,
        }
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<GatewayView>, Unavailable> {
        self.sandbox.look_up(charge).await
    }

    async fn dispute(&self, _: &Charge) -> Result<Option<DisputeStatus>, Unavailable> {
        Ok(*self.dispute.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A fan who bought two seats of 120.00 by card, on an instance whose workers run when the test says so.
struct Bought {
    world: World,
    encore: Encore,
    _instance: Instance,
    gateway: Arc<Disputable>,
    fan: Fan,
    reservation: String,
    payment: PaymentId,
}

impl Bought {
    async fn with(mut world: World, token: &str) -> Self {
        let (performance, fan) = (world.performance(None).await, world.fan(0).await);
        world.instances.clear();
        let gateway = Arc::new(Disputable::default());
        let port: Arc<dyn PaymentGateway> = gateway.clone();
        let ports = Ports { gateway: Some(port), sandbox: None, ..world.ports.clone() };
        let encore = Encore::new(ports, GuardedRpcs::default());
        let instance = Instance::start_without_workers(encore.clone()).await;
        let fan = fan.on(&instance.channel);
        let reservation = fan.hold(performance, &["S-A-1", "S-A-2"]).await.expect("a hold").reservation_id;
        let paid = fan.pay_by_card(&reservation, token).await.expect("a payment");
        assert_eq!(paid.state(), PaymentState::Paid);
        let payment = paid.payment_id.parse().expect("an id");
        Self { world, encore, _instance: instance, gateway, fan, reservation, payment }
    }

    async fn card(&self) -> CardPayment {
        self.world.ports.card_payments.find(self.payment).await.expect("the store answers").expect("the payment")
    }

    /// A webhook tells of a dispute, and the worker asks the gateway.
    async fn hint(&self) {
        let transfers = [(); 2].map(|()| TransferIds {
            transfer: fixtures::id(),
            wallet_entry: fixtures::id(),
            counter_entry: fixtures::id(),
        });
        let ids = CardChangeIds { refund: fixtures::id(), transfers };
        let what = Change::Report(vec![(Step::Dispute, Outcome::Requested)]);
        let change = CardChange { what, at: self.world.clock.now(), ids };
        self.world.ports.card_payments.apply(self.payment, change, TakeUp::Hinted).await.expect("the store answers");
        self.take_up().await;
    }

    /// Time for everything that is due to be taken up.
    async fn pass(&self, time: Duration) {
        self.world.clock.advance(time);
        self.take_up().await;
    }

    async fn take_up(&self) {
        self.encore.workers.take_up_card_payments().await.expect("the stores answer");
    }

    async fn cancel(&self, seats: &[&str]) {
        self.fan.cancel(&self.reservation, seats).await.expect("a refund");
        self.take_up().await;
    }

    /// The refunds that the gateway was asked for.
    async fn sent(&self) -> Vec<RefundStatus> {
        let charge = self.card().await.charge().expect("a charge");
        let view = self.gateway.look_up(&charge).await.expect("it answers").expect("it knows the charge");
        view.refunds.into_iter().map(|(_, status)| status).collect()
    }

    /// How far the refunds are.
    async fn recorded(&self) -> Vec<Progress> {
        self.card().await.latest().refunds.into_iter().map(|(_, progress)| progress).collect()
    }

    /// The records agree with each other and with the gateway.
    async fn assert_reconciled(&self) {
        self.world.clock.advance(Duration::from_hours(400 * 24));
        self.take_up().await;
        let gateway: Arc<dyn PaymentGateway> = self.gateway.clone();
        let reconciliations = self.world.ports.reconciliations.clone();
        let reconciler = Reconciler::new(reconciliations.clone(), gateway, self.world.clock.clone());
        let now = self.world.clock.now();
        let at_rest = async || reconciliations.unreconciled(now, 10).await.expect("the store answers").len();
        assert_eq!(at_rest().await, 1);
        reconciler.compare().await.expect("the gateway answers");
        assert_eq!(at_rest().await, 0);
        let report = self.world.ports.audit.sweep(None).await.expect("the store answers");
        assert!(report.is_clean(), "{:?}", report.findings().collect::<Vec<_>>());
    }
}

async fn worlds() -> [World; 2] {
    [World::embedded().await, World::without_redis().await]
}

const SIX_HOURS: Duration = Duration::from_hours(6);

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_what_a_dispute_took_is_not_sent() {
    for world in worlds().await {
        let bought = Bought::with(world, APPROVE).await;
        bought.gateway.says(DisputeStatus::Open);
        bought.hint().await;
        bought.cancel(&["S-A-1"]).await;
        bought.pass(SIX_HOURS).await;
        assert_eq!((bought.sent().await, bought.recorded().await), (vec![], vec![Progress::Requested]));
        bought.gateway.says(DisputeStatus::Lost);
        bought.pass(SIX_HOURS).await;
        assert_eq!((bought.sent().await, bought.recorded().await), (vec![], vec![Progress::Succeeded]));
        bought.cancel(&[]).await;
        assert_eq!((bought.sent().await, bought.recorded().await), (vec![], vec![Progress::Succeeded; 2]));
        assert_eq!(bought.fan.balance().await.expect("a balance"), 0);
        bought.assert_reconciled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_sent_when_a_dispute_was_won() {
    for world in worlds().await {
        let bought = Bought::with(world, APPROVE).await;
        bought.gateway.says(DisputeStatus::Open);
        bought.hint().await;
        bought.cancel(&["S-A-1"]).await;
        assert_eq!(bought.sent().await, []);
        bought.gateway.says(DisputeStatus::Won);
        bought.pass(SIX_HOURS).await;
        assert_eq!(bought.sent().await, [RefundStatus::Succeeded]);
        bought.assert_reconciled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_of_a_dispute_that_the_gateway_does_not_know_delays_no_refund() {
    for world in worlds().await {
        let bought = Bought::with(world, APPROVE).await;
        bought.hint().await;
        bought.cancel(&["S-A-1"]).await;
        assert_eq!(bought.sent().await, [RefundStatus::Succeeded]);
        bought.assert_reconciled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_refused_for_a_dispute_goes_to_no_wallet() {
    for world in worlds().await {
        let bought = Bought::with(world, APPROVE).await;
        // No webhook has told of it.
        bought.gateway.says(DisputeStatus::Open);
        bought.cancel(&["S-A-1"]).await;
        assert_eq!((bought.sent().await, bought.recorded().await), (vec![], vec![Progress::Requested]));
        bought.gateway.says(DisputeStatus::Lost);
        bought.pass(SIX_HOURS).await;
        assert_eq!((bought.sent().await, bought.recorded().await), (vec![], vec![Progress::Succeeded]));
        assert_eq!(bought.fan.balance().await.expect("a balance"), 0);
        bought.assert_reconciled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_comes_back_during_a_dispute_is_credited() {
    for world in worlds().await {
        let bought = Bought::with(world, REFUND_FAILS_LATER).await;
        bought.cancel(&["S-A-1"]).await;
        assert_eq!(bought.recorded().await, [Progress::Succeeded]);
        bought.gateway.says(DisputeStatus::Open);
        bought.hint().await;
        bought.pass(SIX_HOURS).await;
        assert_eq!(bought.recorded().await, [Progress::Failed]);
        assert_eq!(bought.fan.balance().await.expect("a balance"), 12_000);
        bought.assert_reconciled().await;
    }
}
