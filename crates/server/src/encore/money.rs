//! What moves money.

use encore_app::card_hints::CardHints;
use encore_app::card_payments::{CardPaymentParts, CardPaymentUseCases};
use encore_app::card_saga::{CardSaga, CardSagaParts};
use encore_app::money_admin::{MoneyAdmin, MoneyAdminParts};
use encore_app::payment::{PaymentParts, PaymentUseCases};
use encore_app::reconciliation::Reconciler;
use encore_app::wallet::{WalletParts, WalletUseCases};

use super::runtime::Runtime;
use crate::ports::Ports;

pub(super) fn card_hints(ports: &Ports) -> CardHints {
    CardHints::new(ports.card_payments.clone(), ports.gateway.clone(), ports.clock.clone(), ports.ids.clone())
}

pub(super) fn money_admin(ports: &Ports, runtime: &Runtime) -> MoneyAdmin {
    MoneyAdmin::new(MoneyAdminParts {
        credits: ports.wallet_credits.clone(),
        users: ports.users.clone(),
        sales: runtime.sales_gate.clone(),
        settlements: ports.settlements.clone(),
        contexts: runtime.contexts.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}

pub(super) fn wallet(ports: &Ports, runtime: &Runtime) -> WalletUseCases {
    WalletUseCases::new(WalletParts {
        wallets: ports.wallets.clone(),
        withdrawals: ports.withdrawals.clone(),
        guard: runtime.guard.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}

pub(super) fn payments(ports: &Ports, runtime: &Runtime) -> PaymentUseCases {
    PaymentUseCases::new(PaymentParts {
        payments: ports.payments.clone(),
        reservations: ports.reservations.clone(),
        contexts: runtime.contexts.clone(),
        guard: runtime.guard.clone(),
        propagator: runtime.propagator.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}

/// Drives payments by card, if there is a gateway.
pub(super) fn card_saga(ports: &Ports, runtime: &Runtime) -> Option<CardSaga> {
    let gateway = ports.gateway.clone()?;
    Some(CardSaga::new(CardSagaParts {
        cards: ports.card_payments.clone(),
        gateway,
        seat_map: runtime.seat_map.clone(),
        propagator: runtime.propagator.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    }))
}

/// Compares payments with the gateway, if there is one that remembers: the sandbox forgets what it did with its process.
pub(super) fn reconciler(ports: &Ports) -> Option<Reconciler> {
    let gateway = ports.gateway.clone().filter(|_| ports.sandbox.is_none())?;
    Some(Reconciler::new(ports.reconciliations.clone(), gateway, ports.clock.clone()))
}

pub(super) fn card_payments(ports: &Ports, runtime: &Runtime, saga: Option<CardSaga>) -> CardPaymentUseCases {
    CardPaymentUseCases::new(CardPaymentParts {
        cards: ports.card_payments.clone(),
        reservations: ports.reservations.clone(),
        contexts: runtime.contexts.clone(),
        seat_map: runtime.seat_map.clone(),
        guard: runtime.guard.clone(),
        saga,
        sandbox: ports.sandbox.clone(),
        clock: ports.clock.clone(),
        ids: ports.ids.clone(),
    })
}
