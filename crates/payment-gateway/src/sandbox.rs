//! A gateway in the process that moves no money.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::{AttemptId, PaymentId, RefundId};
use encore_domain::money::Money;
use encore_domain::payment::gateway::{
    Charge, ChargeStatus, DisputeStatus, FailureReason, GatewayView, NextAction, RefundStatus,
};
use encore_domain::ports::{PaymentGateway, SandboxActions};

/// Authorized, captured, refunded.
pub const APPROVE: &str = "sandbox_approve";
/// Declined.
pub const DECLINE: &str = "sandbox_decline";
/// Declined for too little money.
pub const INSUFFICIENT_FUNDS: &str = "sandbox_insufficient_funds";
/// Waits for the fan.
pub const NEEDS_ACTION: &str = "sandbox_needs_action";
/// Authorized at the second look.
pub const ANSWER_LATE: &str = "sandbox_answer_late";
/// Authorized, and the answer is lost.
pub const LOSE_ANSWER: &str = "sandbox_lose_answer";
/// The first request never arrives.
pub const TIME_OUT: &str = "sandbox_time_out";
/// Authorized and never captured.
pub const CAPTURE_REFUSED: &str = "sandbox_capture_refused";
/// Captured; refunds fail.
pub const REFUND_REFUSED: &str = "sandbox_refund_refused";
/// Captured; refunds come back.
pub const REFUND_FAILS_LATER: &str = "sandbox_refund_fails_later";

/// Captured; disputed when a webhook says so, and lost at the second look.
pub const DISPUTE: &str = "sandbox_dispute";

/// The most charges that are known. Beyond it the oldest is forgotten.
const CHARGES_MAX: usize = 200_000;
/// At which look a late answer is there.
const LATE_LOOKS: u32 = 2;

/// [`PaymentGateway`] in process. The token of the payment method decides what happens; see the crate's README.
#[derive(Default)]
pub struct SandboxGateway {
    captures_at_once: bool,
    charges: Mutex<Charges>,
}

#[derive(Default)]
struct Charges {
    known: HashMap<AttemptId, Sandboxed>,
    oldest_first: VecDeque<AttemptId>,
    /// Attempts whose first request was lost.
    lost: HashSet<AttemptId>,
}

struct Sandboxed {
    payment: PaymentId,
    view: GatewayView,
    amount_minor: i64,
    refunded_minor: i64,
    looks: u32,
    dispute_looks: u32,
}

impl SandboxGateway {
    /// The same gateway, which captures what it authorizes.
    pub fn capturing_at_once() -> Self {
        Self { captures_at_once: true, ..Self::default() }
    }

    fn charges(&self) -> MutexGuard<'_, Charges> {
        self.charges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn good(&self) -> ChargeStatus {
        if self.captures_at_once { ChargeStatus::Captured } else { ChargeStatus::Authorized }
    }
}

impl Charges {
    /// The charge; one that is new or was forgotten gets this state.
    fn known_or(&mut self, charge: &Charge, status: ChargeStatus) -> &mut Sandboxed {
        if !self.known.contains_key(&charge.attempt) {
            if self.oldest_first.len() >= CHARGES_MAX
                && let Some(oldest) = self.oldest_first.pop_front()
            {
                self.known.remove(&oldest);
            }
            self.oldest_first.push_back(charge.attempt);
        }
        let (view, amount_minor) = (GatewayView::of(status), charge.amount.minor);
        let payment = charge.payment;
        let new = Sandboxed { payment, view, amount_minor, refunded_minor: 0, looks: 0, dispute_looks: 0 };
        self.known.entry(charge.attempt).or_insert(new)
    }
}

/// The answer did not arrive.
fn lost() -> Unavailable {
    Unavailable::of("the payment gateway")
}

#[async_trait]
impl PaymentGateway for SandboxGateway {
    fn captures_at_once(&self) -> bool {
        self.captures_at_once
    }

    async fn authorize(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        let mut charges = self.charges();
        if let Some(known) = charges.known.get(&charge.attempt) {
            return Ok(known.view.clone());
        }
        let token = charge.method.as_str();
        if token == TIME_OUT && charges.lost.insert(charge.attempt) {
            return Err(lost());
        }
        let status = match token {
            APPROVE | LOSE_ANSWER | TIME_OUT | CAPTURE_REFUSED | REFUND_REFUSED | REFUND_FAILS_LATER | DISPUTE => {
                self.good()
            }
            DECLINE => ChargeStatus::Declined(FailureReason::Declined),
            INSUFFICIENT_FUNDS => ChargeStatus::Declined(FailureReason::InsufficientFunds),
            NEEDS_ACTION => {
                let url = format!("https://sandbox.invalid/3ds/{}", charge.attempt);
                ChargeStatus::NeedsAction(NextAction { url })
            }
            ANSWER_LATE => ChargeStatus::Pending,
            _ => ChargeStatus::Declined(FailureReason::MethodInvalid),
        };
        let view = charges.known_or(charge, status).view.clone();
        if token == LOSE_ANSWER { Err(lost()) } else { Ok(view) }
    }

    async fn capture(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        let mut charges = self.charges();
        let known = charges.known_or(charge, ChargeStatus::Authorized);
        if known.view.charge == ChargeStatus::Authorized {
            let is_refused = charge.method.as_str() == CAPTURE_REFUSED;
            known.view.charge = if is_refused { ChargeStatus::CaptureRefused } else { ChargeStatus::Captured };
        }
        Ok(known.view.clone())
    }

    async fn void(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        let mut charges = self.charges();
        let known = charges.known_or(charge, ChargeStatus::Voided);
        if matches!(known.view.charge, ChargeStatus::Authorized | ChargeStatus::NeedsAction(_) | ChargeStatus::Pending)
        {
            known.view.charge = ChargeStatus::Voided;
        }
        Ok(known.view.clone())
    }

    async fn refund(&self, charge: &Charge, refund: RefundId, amount: Money) -> Result<GatewayView, Unavailable> {
        let mut charges = self.charges();
        let known = charges.known_or(charge, ChargeStatus::Captured);
        if known.view.refunds.iter().all(|(id, _)| *id != refund) {
            let is_left = known.refunded_minor + amount.minor <= known.amount_minor;
            let is_captured = known.view.charge == ChargeStatus::Captured;
            let is_refused = charge.method.as_str() == REFUND_REFUSED;
            let status =
                if is_left && is_captured && !is_refused { RefundStatus::Succeeded } else { RefundStatus::Failed };
            if status == RefundStatus::Succeeded {
                known.refunded_minor += amount.minor;
            }
            known.view.refunds.push((refund, status));
        }
        Ok(known.view.clone())
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<GatewayView>, Unavailable> {
        let good = self.good();
        let mut charges = self.charges();
        let Some(known) = charges.known.get_mut(&charge.attempt) else { return Ok(None) };
        known.looks += 1;
        if known.view.charge == ChargeStatus::Pending && known.looks >= LATE_LOOKS {
            known.view.charge = good;
        }
        if charge.method.as_str() == REFUND_FAILS_LATER {
            for (_, status) in &mut known.view.refunds {
                *status = RefundStatus::Failed;
            }
        }
        Ok(Some(known.view.clone()))
    }

    /// A charge is called by the id of its attempt.
    async fn payment_of(&self, gateway_name: &str) -> Result<Option<PaymentId>, Unavailable> {
        let attempt: Option<AttemptId> = gateway_name.parse().ok();
        let charges = self.charges();
        Ok(attempt.and_then(|attempt| charges.known.get(&attempt)).map(|known| known.payment))
    }

    async fn dispute(&self, charge: &Charge) -> Result<Option<DisputeStatus>, Unavailable> {
        let mut charges = self.charges();
        let disputed = charges.known.get_mut(&charge.attempt).filter(|_| charge.method.as_str() == DISPUTE);
        Ok(disputed.map(|known| {
            known.dispute_looks += 1;
            if known.dispute_looks >= LATE_LOOKS { DisputeStatus::Lost } else { DisputeStatus::Open }
        }))
    }
}

#[async_trait]
impl SandboxActions for SandboxGateway {
    async fn complete(&self, attempt: AttemptId, succeeds: bool) -> bool {
        let good = self.good();
        let mut charges = self.charges();
        let Some(known) = charges.known.get_mut(&attempt) else { return false };
        if !matches!(known.view.charge, ChargeStatus::NeedsAction(_)) {
            return false;
        }
        known.view.charge = if succeeds { good } else { ChargeStatus::Declined(FailureReason::ActionFailed) };
        true
    }
}
