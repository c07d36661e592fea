//! Pays holds from wallets, in batches. Each payment is decided by itself, and all that are accepted are written in one
//! transaction.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::QueryResult;
use diesel::result::Error;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use encore_domain::booking::{Reservation, ReservationState};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::ids::ReservationId;
use encore_domain::money::Money;
use encore_domain::payment::{Paid, PayRefusal, Payment, PaymentPlan};
use encore_domain::queue::{EndReason, QueueTokenPayload};
use encore_domain::request::{Applied, RequestKey};
use futures::try_join;
use uuid::Uuid;

use crate::batcher::{Batched, Spoiled};
use crate::database::Database;
use crate::ended_tokens::PayingFan;
use crate::error::{TxError, to_each};
use crate::locks::hurry;
use crate::payment_rows::NewPayment;
use crate::requests::{self, NewRequest, Operation};
use crate::wallet_rows::WalletKey;
use crate::{ended_tokens, ledger, outbox, payment_rows, reservation_rows, wallet_rows};

/// The result of one payment.
pub type PayAnswer = Result<Applied<Paid>, RequestError<PayRefusal>>;

/// A payment to be made.
#[derive(Clone, Debug)]
pub struct WalletPayment {
    pub plan: PaymentPlan,
    /// The request that it is made for.
    pub request: RequestKey,
}

impl WalletPayment {
    fn payment(&self) -> &Payment {
        &self.plan.payment
    }

    fn wallet(&self) -> WalletKey {
        WalletKey { currency: self.payment().amount.currency, user: self.payment().user }
    }
}

impl Batched for WalletPayment {
    fn key(&self) -> Option<(Uuid, Uuid)> {
        Some((self.request.user.0, self.request.id.0))
    }

    /// The payments of a fan need one wallet.
    fn owner(&self) -> Option<Uuid> {
        Some(self.payment().user.0)
    }
}

/// Why a transaction was rolled back although the database is available.
#[derive(Debug)]
enum Rollback {
    /// No payment is to be written.
    Answered(Vec<PayAnswer>),
    /// The database is unavailable, or returned an error.
    Unavailable(Unavailable),
}

impl From<Unavailable> for Rollback {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// Makes payments of different requests. Each is answered as if they were made one after the other, in this order.
pub async fn pay_all(database: &Database, payments: &[WalletPayment]) -> Result<Vec<PayAnswer>, Spoiled> {
    match database.transact("payments.pay_from_wallet", || try_pay(database, payments)).await {
        Ok(answers) | Err(Rollback::Answered(answers)) => Ok(answers),
        Err(Rollback::Unavailable(unavailable)) => to_each(unavailable, payments.len()),
    }
}

async fn try_pay(database: &Database, payments: &[WalletPayment]) -> Result<Vec<PayAnswer>, TxError<Rollback>> {
    let mut conn = database.connection().await?;
    let paying = conn.transaction(async |conn| {
        let (new, found) = look_up(conn, payments).await?;
        let verdicts = decide(payments, &new, found);
        let answers = answer_all(conn, payments, &verdicts).await?;
        let accepted: Vec<&Accepted> = verdicts.iter().filter_map(Verdict::accepted).collect();
        if accepted.is_empty() {
            return Err(TxError::Port(Rollback::Answered(answers)));
        }
        let undone = payments.iter().zip(&verdicts).filter(|(_, verdict)| verdict.is_undone());
        let undone: Vec<&RequestKey> = undone.map(|(payment, _)| &payment.request).collect();
        requests::forget_all(conn, &undone).await?;
        write(conn, &accepted).await?;
        Ok(answers)
    });
    paying.await
}

/// What payments are decided by.
struct Found {
    reservations: HashMap<ReservationId, Reservation>,
    balances: HashMap<WalletKey, i64>,
    /// For each payment with a queue token, the other live holds of its fan; nothing for the others.
    other_holds: Vec<Vec<ReservationId>>,
}

/// Notes the requests, and locks and reads what the payments need. Returns the requests that are new, too.
async fn look_up(conn: &AsyncPgConnection, payments: &[WalletPayment]) -> QueryResult<(HashSet<(Uuid, Uuid)>, Found)> {
    let requests: Vec<NewRequest> = payments
        .iter()
        .map(|it| NewRequest { key: &it.request, result_id: it.payment().id.0, at: it.payment().paid_at })
        .collect();
    let with_token = |it: &&WalletPayment| it.plan.payload.is_some();
    let fan = |it: &WalletPayment| {
        let Payment { user, performance, reservation, paid_at, .. } = *it.payment();
        PayingFan { user, performance, reservation, at: paid_at }
    };
    let fans: Vec<PayingFan> = payments.iter().filter(with_token).map(fan).collect();
    let reservations: Vec<Uuid> = payments.iter().map(|it| it.payment().reservation.0).collect();
    let mut wallets: BTreeMap<WalletKey, bool> = BTreeMap::new();
    for it in payments {
        // What is free is paid without a wallet, too.
        *wallets.entry(it.wallet()).or_default() |= it.payment().amount.minor == 0;
    }
    let ((), new, other_holds, reservations, balances) = try_join!(
        hurry(conn, payments.len()),
        requests::remember_all(conn, Operation::Pay, &requests),
        ended_tokens::lock_and_look_for_other_holds(conn, &fans),
        reservation_rows::lock_all(conn, &reservations),
        wallet_rows::lock_all(conn, &wallets),
    )?;
    let mut other_holds = other_holds.into_iter();
    let of = |it: &WalletPayment| it.plan.payload.and_then(|_| other_holds.next()).unwrap_or_default();
    let other_holds = payments.iter().map(of).collect();
    Ok((new, Found { reservations, balances, other_holds }))
}

/// A payment that is to be written.
struct Accepted {
    plan: PaymentPlan,
    confirmed: Reservation,
    ended_token: Option<QueueTokenPayload>,
    balance_after_minor: i64,
}

enum Verdict {
    /// The request is a repeat.
    Known,
    /// There is no such reservation.
    Missing,
    Refused(PayRefusal),
    Accepted(Box<Accepted>),
}

impl Verdict {
    /// Whether its request is new and has no effect.
    fn is_undone(&self) -> bool {
        matches!(self, Self::Missing | Self::Refused(_))
    }

    fn accepted(&self) -> Option<&Accepted> {
        match self {
            Self::Accepted(accepted) => Some(accepted),
            Self::Known | Self::Missing | Self::Refused(_) => None,
        }
    }
}

/// Decides each payment against what was found and the payments before it. `new` has the requests that are not repeats.
fn decide(payments: &[WalletPayment], new: &HashSet<(Uuid, Uuid)>, found: Found) -> Vec<Verdict> {
    let Found { mut reservations, mut balances, other_holds } = found;
    let mut paid: HashSet<ReservationId> = HashSet::new();
    let mut verdicts = Vec::with_capacity(payments.len());
    for (it, other_holds) in payments.iter().zip(other_holds) {
        let Payment { id, reservation, amount, paid_at, .. } = *it.payment();
        let balance = balances.entry(it.wallet()).or_default();
        if !new.contains(&(it.request.user.0, it.request.id.0)) {
            verdicts.push(Verdict::Known);
            continue;
        }
        let Some(hold) = reservations.get_mut(&reservation) else {
            verdicts.push(Verdict::Missing);
            continue;
        };
        if let Err(refusal) = it.plan.check(hold, Money { minor: *balance, ..amount }) {
            verdicts.push(Verdict::Refused(refusal));
            continue;
        }
        let state = ReservationState::Confirmed;
        *hold = Reservation { state, settled_at: Some(paid_at), payment: Some(id), ..hold.clone() };
        *balance -= amount.minor;
        paid.insert(reservation);
        let has_another_hold = other_holds.iter().any(|other| !paid.contains(other));
        verdicts.push(Verdict::Accepted(Box::new(Accepted {
            plan: it.plan.clone(),
            confirmed: hold.clone(),
            ended_token: it.plan.ended_token(has_another_hold),
            balance_after_minor: *balance,
        })));
    }
    verdicts
}

/// Writes payments. The outbox is last.
async fn write(conn: &AsyncPgConnection, accepted: &[&Accepted]) -> QueryResult<()> {
    let debits: Vec<Money> = accepted.iter().map(|it| it.plan.payment.amount).collect();
    let wallets: Vec<_> = accepted.iter().map(|it| it.plan.payment.user).zip(debits).collect();
    let payments = accepted.iter().map(|it| NewPayment {
        payment: &it.plan.payment,
        ended_token: it.ended_token.as_ref(),
        balance_after_minor: Some(it.balance_after_minor),
    });
    let payments: Vec<NewPayment> = payments.collect();
    let tokens: Vec<&QueueTokenPayload> = accepted.iter().filter_map(|it| it.ended_token.as_ref()).collect();
    let confirmed: Vec<&Reservation> = accepted.iter().map(|it| &it.confirmed).collect();
    let transfers: Vec<_> = accepted.iter().map(|it| (&it.plan.transfer, it.balance_after_minor)).collect();
    let event = |it: &&Accepted| Event::ReservationConfirmed {
        reservation: it.confirmed.clone(),
        payment: it.plan.payment.clone(),
    };
    let events: Vec<Event> = accepted.iter().map(event).collect();
    try_join!(
        wallet_rows::debit_all(conn, &wallets),
        payment_rows::insert(conn, &payments),
        ended_tokens::insert(conn, &tokens, EndReason::Used),
        reservation_rows::confirm_all(conn, &confirmed),
        ledger::record(conn, &transfers),
        outbox::append(conn, &events),
    )?;
    Ok(())
}

async fn answer_all(
    conn: &AsyncPgConnection,
    payments: &[WalletPayment],
    verdicts: &[Verdict],
) -> QueryResult<Vec<PayAnswer>> {
    let known = payments.iter().zip(verdicts).filter(|(_, verdict)| matches!(verdict, Verdict::Known));
    let known: Vec<RequestKey> = known.map(|(payment, _)| payment.request).collect();
    let mut before = find_paid(conn, &known).await?.into_iter();
    let answer = |verdict: &Verdict| match verdict {
        Verdict::Accepted(it) => {
            let (payment, ended_token) = (it.plan.payment.clone(), it.ended_token);
            let balance_after = Money { minor: it.balance_after_minor, ..payment.amount };
            Ok(Ok(Applied::Now(Paid { payment, balance_after, ended_token })))
        }
        Verdict::Refused(refusal) => Ok(Err(RequestError::Refused(refusal.clone()))),
        Verdict::Missing => Ok(Err(Unavailable::defect("postgres", Error::NotFound).into())),
        Verdict::Known => before.next().ok_or(Error::NotFound),
    };
    verdicts.iter().map(answer).collect()
}

/// The answers to repeats of requests that are known.
async fn find_paid(conn: &AsyncPgConnection, keys: &[RequestKey]) -> QueryResult<Vec<PayAnswer>> {
    let known = requests::find_all(conn, keys).await?;
    let ids: Vec<Uuid> = known.iter().flatten().map(|known| known.result_id).collect();
    let mut paid = payment_rows::find_all(conn, &ids).await?;
    let first = |(key, known): (&RequestKey, Option<requests::Remembered>)| {
        let known = known.ok_or(Error::NotFound)?;
        if !known.is_of(&[Operation::Pay], key) {
            return Ok(Err(RequestError::Reused));
        }
        paid.remove(&known.result_id).map(|paid| Ok(Applied::Before(paid))).ok_or(Error::NotFound)
    };
    keys.iter().zip(known).map(first).collect()
}
