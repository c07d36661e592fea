//! `WalletService`.

use encore_app::card_payments::CardPaymentUseCases;
use encore_app::wallet::WalletUseCases;
use encore_domain::payment::gateway::MethodToken;
use encore_domain::payment::refund::Refund;
use encore_domain::wallet::{TopUpAmount, TransferKind, WalletEntry};
use encore_proto::wallet::v1::{self as pb, wallet_service_server::WalletService};
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::fields::Fields;
use crate::page_token::Listings;
use crate::payment::card_to_proto;
use crate::queue_pass::queue_pass;
use crate::sent_body::sent_body;
use crate::to_proto::{money, timestamp};

pub(crate) struct WalletApi {
    pub(crate) wallet: WalletUseCases,
    pub(crate) cards: CardPaymentUseCases,
    pub(crate) listings: Listings,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl WalletService for WalletApi {
    async fn get_balance(
        &self,
        request: Request<pb::GetBalanceRequest>,
    ) -> Result<Response<pb::GetBalanceResponse>, Status> {
        let balances = self.calls.read(self.wallet.get_balance(caller(&request)?)).await?;
        Ok(Response::new(pb::GetBalanceResponse { balances: balances.into_iter().map(money).collect() }))
    }

    async fn top_up(&self, request: Request<pb::TopUpRequest>) -> Result<Response<pb::TopUpResponse>, Status> {
        let (caller, pass, sent) = (caller(&request)?, queue_pass(&request), sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("TopUp", &message));
        let amount = fields.money("amount", message.amount.as_ref());
        let amount = amount.and_then(|amount| fields.read("amount.amount_minor", TopUpAmount::parse(amount)));
        let card = message.card.as_ref().map(|card| fields.read("card.token", MethodToken::parse(&card.token)));
        let (Some(key), Some(amount)) = (key, amount) else {
            return Err(fields.into_status());
        };
        fields.finish()?;
        let (wallet, cards) = (self.wallet.clone(), self.cards.clone());
        let Some(method) = card.flatten() else {
            let entry = self.calls.write(async move { wallet.top_up(caller, &pass, amount, key).await }).await?;
            return Ok(Response::new(pb::TopUpResponse { entry: Some(to_proto(&entry)), payment: None }));
        };
        let charging = async move {
            wallet.check_top_up_by_card()?;
            let card = cards.top_up(caller, &pass, amount, &method, key).await?;
            let entry = wallet.find_charged(caller, card.id).await?;
            Ok((card, entry))
        };
        let (card, entry) = self.calls.write(charging).await?;
        let (entry, payment) = (entry.as_ref().map(to_proto), Some(card_to_proto(&card)));
        Ok(Response::new(pb::TopUpResponse { entry, payment }))
    }

    async fn withdraw(&self, request: Request<pb::WithdrawRequest>) -> Result<Response<pb::WithdrawResponse>, Status> {
        let (caller, pass, sent) = (caller(&request)?, queue_pass(&request), sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("Withdraw", &message));
        let amount = fields.money("amount", message.amount.as_ref());
        let amount = amount.and_then(|amount| fields.read("amount.amount_minor", TopUpAmount::parse(amount)));
        let (Some(key), Some(amount)) = (key, amount) else {
            return Err(fields.into_status());
        };
        let wallet = self.wallet.clone();
        let refunds = self.calls.write(async move { wallet.withdraw(caller, &pass, amount, key).await }).await?;
        let part = |refund: Refund| pb::WithdrawalPart {
            refund_id: refund.id.to_string(),
            payment_id: refund.payment.to_string(),
            amount: Some(money(refund.amount())),
        };
        Ok(Response::new(pb::WithdrawResponse { parts: refunds.into_iter().map(part).collect() }))
    }

    async fn list_ledger_entries(
        &self,
        request: Request<pb::ListLedgerEntriesRequest>,
    ) -> Result<Response<pb::ListLedgerEntriesResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let listing = self.listings.of("ListLedgerEntries", Some(caller.user), []);
        let Some(page) = fields.page(&listing, message.page_size, &message.page_token) else {
            return Err(fields.into_status());
        };
        let page = self.calls.read(self.wallet.list_entries(caller, page)).await?;
        Ok(Response::new(pb::ListLedgerEntriesResponse {
            entries: page.items.iter().map(to_proto).collect(),
            next_page_token: listing.next_page_token(page.next.as_ref()),
        }))
    }
}

pub(crate) fn to_proto(entry: &WalletEntry) -> pb::LedgerEntry {
    let kind = match entry.kind {
        TransferKind::TopUp => pb::TransferKind::TopUp,
        TransferKind::Payment => pb::TransferKind::Payment,
        TransferKind::Refund => pb::TransferKind::Refund,
        TransferKind::Charge => pb::TransferKind::Charge,
        TransferKind::CardRefund => pb::TransferKind::CardRefund,
        TransferKind::Returned => pb::TransferKind::Returned,
        TransferKind::OperatorCredit => pb::TransferKind::OperatorCredit,
    };
    pb::LedgerEntry {
        entry_id: entry.id.to_string(),
        transfer_id: entry.transfer.to_string(),
        kind: kind.into(),
        amount: Some(money(entry.amount)),
        balance_after: Some(money(entry.balance_after())),
        payment_id: entry.payment.map(|id| id.to_string()).unwrap_or_default(),
        occurred_at: Some(timestamp(entry.at)),
        refund_id: entry.refund.map(|id| id.to_string()).unwrap_or_default(),
        request_id: entry.request.map(|id| id.to_string()).unwrap_or_default(),
    }
}
