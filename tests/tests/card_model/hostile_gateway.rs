//! A gateway that keeps its records right and its manners bad: it loses requests and answers, delivers requests minutes late, answers with
//! what it knew earlier, and sends refunds back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::{AttemptId, PaymentId, RefundId};
use encore_domain::money::Money;
use encore_domain::payment::gateway::{Charge, ChargeStatus, FailureReason, GatewayView, NextAction, RefundStatus};
use encore_domain::ports::{Clock, PaymentGateway, SandboxActions};
use encore_domain::time::Timestamp;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// The gateway, and what it decides by.
pub struct HostileGateway {
    clock: Arc<dyn Clock>,
    captures_at_once: bool,
    state: Mutex<Charges>,
}

struct Charges {
    rng: ChaCha8Rng,
    /// Whether it behaves from now on.
    is_tame: bool,
    known: HashMap<AttemptId, Known>,
    /// Requests that arrive later.
    on_the_way: Vec<(Timestamp, Charge, Request)>,
}

#[derive(Clone, Debug)]
enum Request {
    Authorize,
    Capture,
    Void,
    Refund(RefundId, Money),
}

struct Known {
    payment: PaymentId,
    amount_minor: i64,
    view: GatewayView,
    earlier: GatewayView,
    never_captures: bool,
    refunded: Vec<(RefundId, i64)>,
}

impl Known {
    fn taken_minor(&self) -> i64 {
        if self.view.charge != ChargeStatus::Captured {
            return 0;
        }
        let kept = |id: &RefundId| self.view.refunds.contains(&(*id, RefundStatus::Failed));
        let back: i64 = self.refunded.iter().filter(|(id, _)| !kept(id)).map(|(_, minor)| minor).sum();
        self.amount_minor - back
    }
}

impl HostileGateway {
    /// A gateway with its own chances.
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let captures_at_once = rng.random_bool(0.3);
        let state = Charges { rng, is_tame: false, known: HashMap::new(), on_the_way: Vec::new() };
        Self { clock, captures_at_once, state: Mutex::new(state) }
    }

    /// From now on it answers every request, and what was on the way has arrived.
    pub fn tame(&self) {
        let mut state = self.state();
        state.is_tame = true;
        let at_once = self.captures_at_once;
        for (_, charge, request) in std::mem::take(&mut state.on_the_way) {
            state.carry_out(&charge, &request, at_once);
        }
    }

    /// What it has taken for each payment, less what it gave back, in minor units.
    pub fn taken(&self) -> HashMap<PaymentId, i64> {
        let mut taken = HashMap::new();
        for known in self.state().known.values() {
            *taken.entry(known.payment).or_default() += known.taken_minor();
        }
        taken
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Charges> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, charge: &Charge, request: &Request) -> Result<GatewayView, Unavailable> {
        let now = self.clock.now();
        let mut state = self.state();
        state.deliver(now, self.captures_at_once);
        if !state.is_tame {
            match state.rng.random_range(0..100) {
                0..10 => return Err(lost()),
                10..20 => {
                    let later = now + Duration::from_secs(state.rng.random_range(1..300));
                    state.on_the_way.push((later, charge.clone(), request.clone()));
                    return Err(lost());
                }
                20..32 => {
                    state.carry_out(charge, request, self.captures_at_once);
                    return Err(lost());
                }
                32..42 => {
                    state.carry_out(charge, request, self.captures_at_once);
                    return state.known.get(&charge.attempt).map(|known| known.earlier.clone()).ok_or_else(lost);
                }
                _ => {}
            }
        }
        state.carry_out(charge, request, self.captures_at_once);
        state.known.get(&charge.attempt).map(|known| known.view.clone()).ok_or_else(lost)
    }
}

impl Charges {
    fn deliver(&mut self, now: Timestamp, at_once: bool) {
        let (due, later) = std::mem::take(&mut self.on_the_way).into_iter().partition(|(at, ..)| *at <= now);
        self.on_the_way = later;
        let due: Vec<(Timestamp, Charge, Request)> = due;
        for (_, charge, request) in due {
            self.carry_out(&charge, &request, at_once);
        }
    }

    fn carry_out(&mut self, charge: &Charge, request: &Request, at_once: bool) {
        let good = if at_once { ChargeStatus::Captured } else { ChargeStatus::Authorized };
        if !self.known.contains_key(&charge.attempt) {
            let status = match request {
                Request::Authorize => match self.rng.random_range(0..100) {
                    0..60 => good.clone(),
                    60..75 => ChargeStatus::Declined(FailureReason::Declined),
                    75..90 => ChargeStatus::NeedsAction(NextAction { url: "https://bank.invalid".into() }),
                    _ => ChargeStatus::Pending,
                },
                Request::Void => ChargeStatus::Voided,
                Request::Capture | Request::Refund(..) => return,
            };
            let never_captures = self.rng.random_bool(0.1);
            let view = GatewayView::of(status);
            let earlier = GatewayView::of(ChargeStatus::Pending);
            let (payment, amount_minor) = (charge.payment, charge.amount.minor);
            let refunded = Vec::new();
            let known = Known { payment, amount_minor, view, earlier, never_captures, refunded };
            self.known.insert(charge.attempt, known);
            return;
        }
        let sends_back = self.rng.random_bool(0.15);
        let Some(known) = self.known.get_mut(&charge.attempt) else { return };
        known.earlier = known.view.clone();
        match (request, &known.view.charge) {
            (Request::Capture, ChargeStatus::Authorized) => {
                let refused = known.never_captures;
                known.view.charge = if refused { ChargeStatus::CaptureRefused } else { ChargeStatus::Captured };
            }
            (Request::Void, ChargeStatus::Authorized | ChargeStatus::NeedsAction(_) | ChargeStatus::Pending) => {
                known.view.charge = ChargeStatus::Voided;
            }
            (Request::Refund(id, amount), ChargeStatus::Captured)
                if known.view.refunds.iter().all(|(other, _)| other != id) =>
            {
                assert!(known.taken_minor() >= amount.minor, "more is refunded than was taken");
                let status = if sends_back { RefundStatus::Failed } else { RefundStatus::Succeeded };
                known.view.refunds.push((*id, status));
                known.refunded.push((*id, amount.minor));
            }
            _ => {}
        }
    }
}

/// The request or its answer was lost.
fn lost() -> Unavailable {
    Unavailable::of("the payment gateway")
}

#[async_trait]
impl PaymentGateway for HostileGateway {
    fn captures_at_once(&self) -> bool {
        self.captures_at_once
    }

    async fn authorize(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.request(charge, &Request::Authorize)
    }

    async fn capture(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.request(charge, &Request::Capture)
    }

    async fn void(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.request(charge, &Request::Void)
    }

    async fn refund(&self, charge: &Charge, refund: RefundId, amount: Money) -> Result<GatewayView, Unavailable> {
        self.request(charge, &Request::Refund(refund, amount))
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<GatewayView>, Unavailable> {
        let now = self.clock.now();
        let good = if self.captures_at_once { ChargeStatus::Captured } else { ChargeStatus::Authorized };
        let mut state = self.state();
        state.deliver(now, self.captures_at_once);
        let (is_tame, loses, decides) = (state.is_tame, state.rng.random_bool(0.2), state.rng.random_bool(0.4));
        if !is_tame && loses {
            return Err(lost());
        }
        let Some(known) = state.known.get_mut(&charge.attempt) else { return Ok(None) };
        if known.view.charge == ChargeStatus::Pending && (is_tame || decides) {
            known.view.charge = good;
        }
        Ok(Some(known.view.clone()))
    }
}

#[async_trait]
impl SandboxActions for HostileGateway {
    async fn complete(&self, attempt: AttemptId, succeeds: bool) -> bool {
        let good = if self.captures_at_once { ChargeStatus::Captured } else { ChargeStatus::Authorized };
        let mut state = self.state();
        let Some(known) = state.known.get_mut(&attempt) else { return false };
        if !matches!(known.view.charge, ChargeStatus::NeedsAction(_)) {
            return false;
        }
        known.view.charge = if succeeds { good } else { ChargeStatus::Declined(FailureReason::ActionFailed) };
        true
    }
}
