//! Kills an instance between two calls of its ports: after a number of calls, every further one hangs for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use encore_domain::booking::Reservation;
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::ids::{PaymentId, RefundId};
use encore_domain::money::Money;
use encore_domain::payment::PayRefusal;
use encore_domain::payment::card::CardPayment;
use encore_domain::payment::card_change::{CardChange, CardEffects, TakeUp};
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::gateway::{Charge, GatewayView};
use encore_domain::ports::{CardPayments, PaymentGateway};
use encore_domain::request::{Applied, RequestKey};
use encore_domain::time::Timestamp;
use std::convert::Infallible;
use tokio::sync::Notify;

/// How many port calls an instance has left.
#[derive(Debug, Default)]
pub struct Fuse {
    left: AtomicI64,
    blown: Notify,
}

impl Fuse {
    /// Lets this many calls pass.
    pub fn set(&self, calls: i64) {
        self.left.store(calls, Ordering::SeqCst);
    }

    /// Waits until a call has hung.
    pub async fn blown(&self) {
        self.blown.notified().await;
    }

    async fn burn(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 0 {
            self.blown.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Makes a call, unless the instance dies before or after it.
    async fn guard<T>(&self, call: impl Future<Output = T>) -> T {
        self.burn().await;
        let answer = call.await;
        self.burn().await;
        answer
    }
}

/// A port behind a fuse.
pub struct Mortal<P: ?Sized> {
    pub fuse: Arc<Fuse>,
    pub port: Arc<P>,
}

#[async_trait]
impl CardPayments for Mortal<dyn CardPayments> {
    async fn start(
        &self,
        plan: CardPlan,
        request: RequestKey,
    ) -> Result<Applied<(CardPayment, Option<Reservation>)>, RequestError<PayRefusal>> {
        self.fuse.guard(self.port.start(plan, request)).await
    }

    async fn find_started(&self, request: RequestKey) -> Result<Option<CardPayment>, RequestError<Infallible>> {
        self.fuse.guard(self.port.find_started(request)).await
    }

    async fn find(&self, id: PaymentId) -> Result<Option<CardPayment>, Unavailable> {
        self.fuse.guard(self.port.find(id)).await
    }

    async fn take_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: u32,
    ) -> Result<Vec<CardPayment>, Unavailable> {
        self.fuse.guard(self.port.take_due(now, lease_until, limit)).await
    }

    async fn hasten(&self, payment: PaymentId, at: Timestamp) -> Result<bool, Unavailable> {
        self.fuse.guard(self.port.hasten(payment, at)).await
    }

    async fn apply(
        &self,
        payment: PaymentId,
        change: CardChange,
        take_up: TakeUp,
    ) -> Result<(CardPayment, CardEffects), Unavailable> {
        self.fuse.guard(self.port.apply(payment, change, take_up)).await
    }
}

#[async_trait]
impl PaymentGateway for Mortal<dyn PaymentGateway> {
    fn captures_at_once(&self) -> bool {
        self.port.captures_at_once()
    }

    async fn authorize(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.fuse.guard(self.port.authorize(charge)).await
    }

    async fn capture(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.fuse.guard(self.port.capture(charge)).await
    }

    async fn void(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.fuse.guard(self.port.void(charge)).await
    }

    async fn refund(&self, charge: &Charge, refund: RefundId, amount: Money) -> Result<GatewayView, Unavailable> {
        self.fuse.guard(self.port.refund(charge, refund, amount)).await
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<GatewayView>, Unavailable> {
        self.fuse.guard(self.port.look_up(charge)).await
    }
}
