//! `MoneyService`.

use encore_app::money_admin::MoneyAdmin;
use encore_domain::audit_log::StaffCall;
use encore_domain::money::Money;
use encore_domain::payment::PaymentMethod;
use encore_domain::payment::refund::OperatorReason;
use encore_domain::payment::settlement::{Settlement, SettlementItem};
use encore_domain::sales_switch::SalesSwitch;
use encore_domain::wallet::TopUpAmount;
use encore_proto::admin::v1::{self as pb, money_service_server::MoneyService};
use encore_proto::payment::v1::PaymentMethod as PbMethod;
use tonic::{Request, Response, Status};

use crate::authenticate::caller;
use crate::calls::Calls;
use crate::fields::Fields;
use crate::sent_body::sent_body;
use crate::to_proto::{money, timestamp};

pub(crate) struct MoneyApi {
    pub(crate) money: MoneyAdmin,
    pub(crate) calls: Calls,
}

#[tonic::async_trait]
impl MoneyService for MoneyApi {
    async fn credit_wallet(
        &self,
        request: Request<pb::CreditWalletRequest>,
    ) -> Result<Response<pb::CreditWalletResponse>, Status> {
        let (caller, sent) = (caller(&request)?, sent_body(&request));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let key = fields.request(caller.user, &message.request_id, &sent.of("CreditWallet", &message));
        let user = fields.id("user_id", &message.user_id);
        let amount = fields.money("amount", message.amount.as_ref());
        let amount = amount.and_then(|amount| fields.read("amount.amount_minor", TopUpAmount::parse(amount)));
        let reason = fields.read("reason", OperatorReason::parse(&message.reason));
        let (Some(key), Some(user), Some(amount), Some(reason)) = (key, user, amount, reason) else {
            return Err(fields.into_status());
        };
        let admin = self.money.clone();
        let call = StaffCall { caller, rpc: "MoneyService.CreditWallet", request: Some(key) };
        let crediting = async move { admin.credit_wallet(call, user, amount, reason, key).await };
        let entry = self.calls.write(crediting).await?;
        let balance_after = Money { minor: entry.balance_after_minor, currency: entry.amount.currency };
        Ok(Response::new(pb::CreditWalletResponse {
            entry_id: entry.id.to_string(),
            balance_after: Some(money(balance_after)),
            occurred_at: Some(timestamp(entry.at)),
        }))
    }

    async fn get_sales_switch(
        &self,
        _request: Request<pb::GetSalesSwitchRequest>,
    ) -> Result<Response<pb::GetSalesSwitchResponse>, Status> {
        let switch = self.calls.read(self.money.sales_switch()).await?;
        let sales_switch = switch.as_ref().map(switch_to_proto).unwrap_or_default();
        Ok(Response::new(pb::GetSalesSwitchResponse { sales_switch: Some(sales_switch) }))
    }

    async fn set_sales_switch(
        &self,
        request: Request<pb::SetSalesSwitchRequest>,
    ) -> Result<Response<pb::SetSalesSwitchResponse>, Status> {
        let caller = caller(&request)?;
        let message = request.into_inner();
        let mut fields = Fields::default();
        let Some(reason) = fields.read("reason", OperatorReason::parse(&message.reason)) else {
            return Err(fields.into_status());
        };
        let admin = self.money.clone();
        let call = StaffCall { caller, rpc: "MoneyService.SetSalesSwitch", request: None };
        let setting = async move { admin.set_sales_switch(call, message.is_stopped, reason).await };
        let sales_switch = switch_to_proto(&self.calls.write(setting).await?);
        Ok(Response::new(pb::SetSalesSwitchResponse { sales_switch: Some(sales_switch) }))
    }

    async fn get_settlement(
        &self,
        request: Request<pb::GetSettlementRequest>,
    ) -> Result<Response<pb::GetSettlementResponse>, Status> {
        let mut fields = Fields::default();
        let Some(performance) = fields.id("performance_id", &request.get_ref().performance_id) else {
            return Err(fields.into_status());
        };
        let (settled, at) = self.calls.read(self.money.settlement(performance)).await?;
        let items = settled.items().map(|(method, item)| item_to_proto(&settled, method, item));
        Ok(Response::new(pb::GetSettlementResponse {
            items: items.into(),
            due: Some(money(settled.money(settled.sum().due_minor()))),
            open_refunds: settled.open_refunds,
            open_disputes: settled.open_disputes,
            lost_disputes: settled.lost_disputes,
            csv: settled.csv(),
            summed_up_at: Some(timestamp(at)),
        }))
    }
}

fn switch_to_proto(switch: &SalesSwitch) -> pb::SalesSwitch {
    pb::SalesSwitch {
        is_stopped: switch.is_stopped,
        reason: switch.reason.as_str().to_owned(),
        operator_id: switch.by.to_string(),
        changed_at: Some(timestamp(switch.at)),
    }
}

fn item_to_proto(settled: &Settlement, method: PaymentMethod, item: &SettlementItem) -> pb::SettlementItem {
    let amount = |minor| Some(money(settled.money(minor)));
    let method = match method {
        PaymentMethod::Wallet => PbMethod::Wallet,
        PaymentMethod::Card => PbMethod::Card,
    };
    pb::SettlementItem {
        method: method.into(),
        payments: item.payments,
        sold: amount(item.sold_minor),
        refunds: item.refunds,
        refunded: amount(item.refunded_minor),
        fees: amount(item.fees_minor),
        due: amount(item.due_minor()),
    }
}
