//! Top-ups of wallets, in batches. Each is decided by itself, and all that are accepted are written in one transaction.

use std::collections::{BTreeMap, HashMap};

use diesel::QueryResult;
use diesel::result::Error;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use encore_domain::error::{RequestError, Unavailable};
use encore_domain::event::Event;
use encore_domain::request::{Applied, RequestKey};
use encore_domain::wallet::{TopUpRefusal, Transfer, WalletEntry};
use futures::try_join;
use uuid::Uuid;

use crate::batcher::{Batched, Spoiled};
use crate::database::Database;
use crate::error::{TxError, to_each};
use crate::locks::hurry;
use crate::requests::{self, NewRequest, Operation};
use crate::wallet_rows::{self, WalletKey};
use crate::{ledger, outbox};

/// The result of one top-up.
pub type TopUpAnswer = Result<Applied<WalletEntry>, RequestError<TopUpRefusal>>;

/// A top-up to be made.
#[derive(Clone, Debug)]
pub struct TopUp {
    pub transfer: Transfer,
    /// The request that it is made for.
    pub request: RequestKey,
}

impl TopUp {
    fn wallet(&self) -> WalletKey {
        WalletKey { currency: self.transfer.amount.currency, user: self.transfer.user }
    }
}

impl Batched for TopUp {
    fn key(&self) -> Option<(Uuid, Uuid)> {
        Some((self.request.user.0, self.request.id.0))
    }

    /// The top-ups of a fan need one wallet.
    fn owner(&self) -> Option<Uuid> {
        Some(self.transfer.user.0)
    }
}

/// Why a transaction was rolled back although the database is available.
#[derive(Debug)]
enum Rollback {
    /// No top-up is to be written.
    Answered(Vec<TopUpAnswer>),
    /// The database is unavailable, or returned an error.
    Unavailable(Unavailable),
}

impl From<Unavailable> for Rollback {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// Makes top-ups of different requests. Each is answered as if they were made one after the other, in this order.
pub async fn top_up_all(database: &Database, top_ups: &[TopUp]) -> Result<Vec<TopUpAnswer>, Spoiled> {
    match database.transact("wallets.top_up", || try_top_up(database, top_ups)).await {
        Ok(answers) | Err(Rollback::Answered(answers)) => Ok(answers),
        Err(Rollback::Unavailable(unavailable)) => to_each(unavailable, top_ups.len()),
    }
}

async fn try_top_up(database: &Database, top_ups: &[TopUp]) -> Result<Vec<TopUpAnswer>, TxError<Rollback>> {
    let mut conn = database.connection().await?;
    let topping_up = conn.transaction(async |conn| {
        let requests: Vec<NewRequest> = top_ups
            .iter()
            .map(|it| NewRequest { key: &it.request, result_id: it.transfer.wallet_entry.id.0, at: it.transfer.at })
            .collect();
        let ((), new) =
            try_join!(hurry(conn, top_ups.len()), requests::remember_all(conn, Operation::TopUp, &requests),)?;
        let (new, known): (Vec<&TopUp>, Vec<&TopUp>) =
            top_ups.iter().partition(|it| new.contains(&(it.request.user.0, it.request.id.0)));
        let mut answers = find_topped_up(conn, &known).await?;
        let balances = credit(conn, &new).await?;
        let made: Vec<(&TopUp, i64)> =
            new.iter().zip(&balances).filter_map(|(it, balance)| Some((*it, (*balance)?))).collect();
        let refused: Vec<&TopUp> =
            new.iter().zip(&balances).filter(|(_, balance)| balance.is_none()).map(|(it, _)| *it).collect();
        for refused in &refused {
            answers
                .insert(refused.key(), Err(RequestError::Refused(TopUpRefusal::WalletFull(refused.wallet().currency))));
        }
        for (it, balance_minor) in &made {
            answers.insert(it.key(), Ok(Applied::Now(WalletEntry::of(&it.transfer, *balance_minor))));
        }
        let answers = top_ups.iter().map(|it| answers.remove(&it.key()).ok_or(Error::NotFound));
        let answers = answers.collect::<QueryResult<Vec<TopUpAnswer>>>()?;
        if made.is_empty() {
            return Err(TxError::Port(Rollback::Answered(answers)));
        }
        let refused: Vec<&RequestKey> = refused.iter().map(|it| &it.request).collect();
        requests::forget_all(conn, &refused).await?;
        write(conn, &made).await?;
        Ok(answers)
    });
    topping_up.await
}

/// Credits the wallets. Returns for each top-up the balance after it, or none if it does not fit into its wallet.
async fn credit(conn: &AsyncPgConnection, top_ups: &[&TopUp]) -> QueryResult<Vec<Option<i64>>> {
    let (mut sums, mut fits) = (BTreeMap::<WalletKey, i64>::new(), Vec::with_capacity(top_ups.len()));
    for top_up in top_ups {
        let (sum, amount) = (sums.entry(top_up.wallet()).or_default(), top_up.transfer.amount);
        let is_included = *sum <= amount.currency.balance_max_minor() - amount.minor;
        *sum += if is_included { amount.minor } else { 0 };
        fits.push(is_included);
    }
    // Those that are too much for any wallet.
    sums.retain(|_, sum| *sum > 0);
    let credited = wallet_rows::credit_all(conn, &sums).await?;
    let mut balances: HashMap<WalletKey, i64> =
        credited.iter().map(|(wallet, after)| (*wallet, after - sums.get(wallet).unwrap_or(&0))).collect();
    let mut after = Vec::with_capacity(top_ups.len());
    for (top_up, fits) in top_ups.iter().zip(fits) {
        let (wallet, amount) = (top_up.wallet(), top_up.transfer.amount.minor);
        after.push(match balances.get_mut(&wallet) {
            Some(balance) if fits => {
                *balance += amount;
                Some(*balance)
            }
            Some(_) => None,
            // Not all of them fit into this wallet, which is locked now if any may.
            None => wallet_rows::credit_all(conn, &BTreeMap::from([(wallet, amount)])).await?.remove(&wallet),
        });
    }
    Ok(after)
}

/// Writes top-ups, each with the balance after it. The outbox is last.
async fn write(conn: &AsyncPgConnection, made: &[(&TopUp, i64)]) -> QueryResult<()> {
    let transfers: Vec<_> = made.iter().map(|(it, balance_minor)| (&it.transfer, *balance_minor)).collect();
    let event = |(transfer, balance_minor): &(&Transfer, i64)| Event::WalletToppedUp {
        user: transfer.user,
        entry: WalletEntry::of(transfer, *balance_minor),
    };
    let events: Vec<Event> = transfers.iter().map(event).collect();
    try_join!(ledger::record(conn, &transfers), outbox::append(conn, &events))?;
    Ok(())
}

/// The answers to repeats of requests that are known.
async fn find_topped_up(
    conn: &AsyncPgConnection,
    top_ups: &[&TopUp],
) -> QueryResult<HashMap<Option<(Uuid, Uuid)>, TopUpAnswer>> {
    let keys: Vec<RequestKey> = top_ups.iter().map(|it| it.request).collect();
    let known = requests::find_all(conn, &keys).await?;
    let ids: Vec<Uuid> = known.iter().flatten().map(|known| known.result_id).collect();
    let entries = wallet_rows::find_entries(conn, &ids).await?;
    let first = |(top_up, known): (&&TopUp, Option<requests::Remembered>)| {
        let known = known.ok_or(Error::NotFound)?;
        if !known.is_of(&[Operation::TopUp], &top_up.request) {
            return Ok((top_up.key(), Err(RequestError::Reused)));
        }
        let entry = entries.get(&known.result_id).cloned().ok_or(Error::NotFound)?;
        Ok((top_up.key(), Ok(Applied::Before(entry))))
    };
    top_ups.iter().zip(known).map(first).collect()
}
