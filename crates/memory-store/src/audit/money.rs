use std::collections::HashMap;

use encore_domain::audit::Promise;
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::ids::{PaymentId, TransferId, UserId};
use encore_domain::money::{Currency, Money};
use encore_domain::payment::Payment;
use encore_domain::payment::attempt::Progress;
use encore_domain::payment::card::CardPayment;
use encore_domain::payment::refund::Refund;
use encore_domain::wallet::{Account, LedgerEntry, TransferKind, WalletEntry};

use crate::audit::Sweep;

type ByPayment<'records> = HashMap<PaymentId, Vec<(UserId, &'records WalletEntry)>>;

pub fn check(audit: &mut Sweep) {
    check_transfers(audit);
    let entries = entries_by_payment(audit);
    audit.payments().for_each(|payment| check_payment(audit, payment, &entries));
    audit.reservations().for_each(|reservation| check_reservation(audit, reservation));
    audit.refunds().for_each(|refund| check_refund(audit, refund));
    let charges = charges_by_payment(audit);
    audit.cards().for_each(|card| check_card(audit, card, &charges));
    check_wallets(audit);
}

/// The entries of all wallets. Each is the fan's entry of a transfer, and has the transfer's kind and amount.
fn entries<'records>(audit: &Sweep<'records>) -> impl Iterator<Item = (UserId, &'records WalletEntry)> + use<'records> {
    let by_user = audit.records.wallets.entries.iter();
    by_user.flat_map(|(user, entries)| entries.values().map(|entry| (*user, entry)))
}

/// The entries of payments, collected in one pass.
fn entries_by_payment<'records>(audit: &Sweep<'records>) -> ByPayment<'records> {
    let mut by_payment = ByPayment::new();
    for (user, entry) in entries(audit) {
        if let Some(payment) = entry.payment.filter(|_| entry.kind == TransferKind::Payment) {
            by_payment.entry(payment).or_default().push((user, entry));
        }
    }
    by_payment
}

fn check_transfers(audit: &mut Sweep) {
    let records = audit.records;
    let mut known: HashMap<TransferId, &WalletEntry> = HashMap::new();
    for (user, entry) in entries(audit) {
        known.insert(entry.transfer, entry);
        let payment = entry.payment.and_then(|id| records.payments.payments.get(&id));
        if audit.scope.is_some() && !payment.is_some_and(|payment| audit.covers(payment.performance)) {
            continue;
        }
        audit.examine(Promise::MoneyMadeOrLost, 1);
        let sides: &[LedgerEntry] = records.wallets.ledger_entries.get(&entry.transfer).map_or(&[], |sides| sides);
        let minor = entry.amount.minor;
        let counter = match (entry.kind, payment) {
            (TransferKind::TopUp | TransferKind::Charge | TransferKind::CardRefund | TransferKind::Returned, _) => {
                Some(Account::Gateway)
            }
            (TransferKind::Payment | TransferKind::Refund, payment) => {
                payment.map(|payment| Account::Sales(payment.performance))
            }
            (TransferKind::OperatorCredit, _) => {
                records.wallets.credits.get(&entry.transfer).map(|(operator, _)| Account::Operator(*operator))
            }
        };
        let is_of = |side: &LedgerEntry, account| side.account == account;
        let wallet = sides.iter().any(|side| is_of(side, Account::Wallet(user)) && side.amount_minor == minor);
        let opposite = counter.is_some_and(|counter| {
            sides.iter().any(|side| is_of(side, counter) && minor.checked_neg() == Some(side.amount_minor))
        });
        if !(wallet && opposite) {
            let detail = format!("a {:?} of {minor} with the entries {sides:?}", entry.kind);
            audit.find(Promise::MoneyMadeOrLost, format!("transfer {}", entry.transfer), detail);
        }
    }
    audit.examine(Promise::MoneyMadeOrLost, 0);
    let is_unscoped = audit.scope.is_none();
    for transfer in records.wallets.ledger_entries.keys().filter(|id| is_unscoped && !known.contains_key(id)) {
        let detail = "no wallet has an entry of it".to_owned();
        audit.find(Promise::MoneyMadeOrLost, format!("transfer {transfer}"), detail);
    }
}

fn check_payment(audit: &mut Sweep, payment: &Payment, entries: &ByPayment) {
    let subject = format!("payment {}", payment.id);
    if let Some(reservation) = audit.records.reservations.find(payment.reservation) {
        // What was cancelled in parts is no longer in the total; what was cancelled as a whole still is.
        let refunds = audit.records.payments.refunds_of(payment.id).into_iter();
        let in_parts: i64 = refunds.filter(|refund| !refund.is_whole).map(|refund| refund.price.minor).sum();
        let total = Money { minor: reservation.total.minor + in_parts, ..reservation.total };
        let is_equal =
            (total, reservation.user, reservation.performance) == (payment.amount, payment.user, payment.performance);
        if !is_equal {
            audit.find(Promise::MoneyMadeOrLost, subject.clone(), format!("{payment:?}, but {reservation:?}"));
        }
    }
    let transfers = entries.get(&payment.id).map(Vec::as_slice).unwrap_or_default();
    let is_paid = matches!(transfers, [(user, entry)]
        if *user == payment.user
            && entry.amount.currency == payment.amount.currency
            && entry.amount.minor.checked_neg() == Some(payment.amount.minor));
    if !is_paid {
        let detail = format!("{} {} by the transfers {transfers:?}", payment.amount.minor, payment.amount.currency);
        audit.find(Promise::MoneyMadeOrLost, subject, detail);
    }
}

fn check_reservation(audit: &mut Sweep, reservation: &Reservation) {
    let subject = format!("reservation {}", reservation.id);
    let cost: i64 = reservation.seats.iter().map(|seat| seat.price_minor).sum();
    if cost != reservation.total.minor {
        let detail = format!("its total is {}, but its seats cost {cost}", reservation.total.minor);
        audit.find(Promise::MoneyMadeOrLost, subject.clone(), detail);
    }
    let payment = reservation.payment.and_then(|id| audit.records.payments.payments.get(&id));
    let paid = payment.is_some_and(|payment| payment.reservation == reservation.id);
    if matches!(reservation.state, ReservationState::Confirmed | ReservationState::Cancelled) && !paid {
        let detail = format!("{:?}, but payment {:?} does not pay for it", reservation.state, reservation.payment);
        audit.find(Promise::MoneyMadeOrLost, subject.clone(), detail);
    }
    let refunds = reservation.payment.map(|payment| audit.records.payments.refunds_of(payment)).unwrap_or_default();
    let whole = refunds.iter().filter(|refund| refund.is_whole).count();
    if whole != usize::from(reservation.state == ReservationState::Cancelled) {
        let detail = format!("{:?} with {whole} refunds of all its seats", reservation.state);
        audit.find(Promise::MoneyMadeOrLost, subject, detail);
    }
}

fn check_refund(audit: &mut Sweep, refund: &Refund) {
    let subject = format!("refund {}", refund.id);
    let card = audit.records.cards.payments.get(&refund.payment);
    let progress = card.and_then(|card| card.latest().refunds.into_iter().find(|(id, _)| *id == refund.id));
    let has_come_back = progress.is_some_and(|(_, progress)| progress == Progress::Failed);
    let minor = refund.amount().minor;
    let mut expected = Vec::new();
    if refund.cause.is_of_seats() {
        expected.push((TransferKind::Refund, minor));
    }
    if refund.to_card {
        expected.push((TransferKind::CardRefund, -minor));
    }
    if has_come_back {
        expected.push((TransferKind::Returned, minor));
    }
    let of_refund = entries(audit).filter(|(user, entry)| entry.refund == Some(refund.id) && *user == refund.user);
    let mut transfers: Vec<_> = of_refund.map(|(_, entry)| (entry.id, entry.kind, entry.amount.minor)).collect();
    transfers.sort_unstable_by_key(|(id, ..)| *id);
    let transfers: Vec<_> = transfers.into_iter().map(|(_, kind, minor)| (kind, minor)).collect();
    let is_equal = transfers.len() == expected.len() && expected.iter().all(|it| transfers.contains(it));
    if !is_equal {
        let detail = format!("transfers {transfers:?}, expected {expected:?}");
        audit.find(Promise::MoneyMadeOrLost, subject.clone(), detail);
    }
    let Some(reservation) = refund.reservation.filter(|_| refund.cause.is_of_seats()) else { return };
    let reservation = audit.records.reservations.find(reservation);
    let is_of = reservation.is_some_and(|reservation| {
        let is_cancelled = reservation.state == ReservationState::Cancelled;
        reservation.payment == Some(refund.payment)
            && (!refund.is_whole || is_cancelled && reservation.total == refund.price)
    });
    if !is_of {
        audit.find(Promise::MoneyMadeOrLost, subject, format!("{refund:?}, but {reservation:?}"));
    }
}

/// A payment by card that nobody will take up again: what was taken is sold or given back, and what was sold is taken.
fn check_card(audit: &mut Sweep, card: &CardPayment, charges: &HashMap<PaymentId, Vec<i64>>) {
    let subject = format!("payment {}", card.id);
    let state = card.latest();
    let charged = charges.get(&card.id).cloned().unwrap_or_default();
    let is_charged = state.is_confirmed || !state.refunds.is_empty();
    let expected: &[i64] = if is_charged { &[card.amount.minor] } else { &[] };
    if charged != expected {
        let detail = format!("charged {charged:?}, expected {expected:?}");
        audit.find(Promise::MoneyMadeOrLost, subject.clone(), detail);
    }
    for attempt in &card.attempts {
        let compared = audit.records.cards.reconciled.get(&attempt.id);
        if let Some(difference) = compared.and_then(|compared| compared.difference) {
            let detail = format!("the gateway and the records differ: {}", difference.name());
            audit.find(Promise::MoneyMadeOrLost, format!("attempt {}", attempt.id), detail);
        }
    }
    if audit.records.cards.is_open(card.id) {
        return;
    }
    let is_captured = state.capture == Progress::Succeeded;
    if is_captured != is_charged && !state.is_revoked {
        audit.find(Promise::MoneyMadeOrLost, subject, format!("closed as {state:?}"));
    }
}

/// What the gateway paid into wallets for each payment by card.
fn charges_by_payment(audit: &Sweep) -> HashMap<PaymentId, Vec<i64>> {
    let mut charges: HashMap<PaymentId, Vec<i64>> = HashMap::new();
    for (_, entry) in entries(audit) {
        let is_charge = matches!(entry.kind, TransferKind::Charge | TransferKind::TopUp);
        if let Some(payment) = entry.payment.filter(|_| is_charge) {
            charges.entry(payment).or_default().push(entry.amount.minor);
        }
    }
    charges
}

fn check_wallets(audit: &mut Sweep) {
    let mut sums: HashMap<(UserId, Currency), i64> = HashMap::new();
    for (user, entry) in entries(audit) {
        if !audit.covers_wallet(user) {
            continue;
        }
        *sums.entry((user, entry.amount.currency)).or_default() += entry.amount.minor;
        if entry.balance_after_minor < 0 {
            let detail = format!("left the wallet of user {user} with a balance of {}", entry.balance_after_minor);
            audit.find(Promise::NegativeWallet, format!("ledger entry {}", entry.id), detail);
        }
    }
    audit.examine(Promise::NegativeWallet, 0);
    for (user, balances) in &audit.records.wallets.balances {
        if !audit.covers_wallet(*user) {
            continue;
        }
        audit.examine(Promise::NegativeWallet, balances.len());
        for (currency, balance) in balances {
            let subject = format!("wallet of user {user} in {currency}");
            if *balance < 0 {
                audit.find(Promise::NegativeWallet, subject.clone(), format!("has a balance of {balance}"));
            }
            let sum = sums.remove(&(*user, *currency)).unwrap_or(0);
            if sum != *balance {
                let detail = format!("has a balance of {balance}, but its entries sum to {sum}");
                audit.find(Promise::MoneyMadeOrLost, subject, detail);
            }
        }
    }
    for ((user, currency), sum) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
        let subject = format!("wallet of user {user} in {currency}");
        audit.find(Promise::MoneyMadeOrLost, subject, format!("does not exist, but its entries sum to {sum}"));
    }
}
