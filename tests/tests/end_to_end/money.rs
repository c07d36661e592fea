//! What operators do with money: credits, the switch of all sales, settlements.

use encore_proto::admin::v1::money_service_client::MoneyServiceClient;
use encore_proto::admin::v1::{
    CreditWalletRequest, CreditWalletResponse, GetSalesSwitchRequest, GetSettlementRequest, GetSettlementResponse,
    SetSalesSwitchRequest,
};
use encore_proto::common::v1::Money;
use encore_proto::payment::v1::PaymentMethod;
use encore_tests::audit::found;
use encore_tests::fan::{Fan, reason, reason_metadata, request_id, violated_fields};
use encore_tests::ledger;
use encore_tests::world::{World, until};
use tonic::transport::Channel;
use tonic::{Code, Status};

fn client(operator: &Fan) -> MoneyServiceClient<Channel> {
    MoneyServiceClient::new(operator.channel.clone())
}

async fn credit(operator: &Fan, request: &str, user: &str, amount_minor: i64) -> Result<CreditWalletResponse, Status> {
    let message = CreditWalletRequest {
        request_id: request.to_owned(),
        user_id: user.to_owned(),
        amount: Some(Money { amount_minor, currency_code: "EUR".into() }),
        reason: "a seat behind a pillar".into(),
    };
    Ok(client(operator).credit_wallet(operator.request(message)).await?.into_inner())
}

async fn set_switch(operator: &Fan, is_stopped: bool) {
    let message = SetSalesSwitchRequest { is_stopped, reason: "a fire alarm".into() };
    let set = client(operator).set_sales_switch(operator.request(message)).await.expect("it is set").into_inner();
    let switch = set.sales_switch.expect("the switch");
    assert_eq!((switch.is_stopped, switch.reason.as_str()), (is_stopped, "a fire alarm"));
}

async fn settlement(operator: &Fan, performance: &str) -> GetSettlementResponse {
    let message = GetSettlementRequest { performance_id: performance.to_owned() };
    client(operator).get_settlement(operator.request(message)).await.expect("a settlement").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_credits_a_wallet_once() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let fan = world.fan(0).await;
    let (request, user) = (request_id(), fan.user.to_string());
    let first = credit(&operator, &request, &user, 500).await.expect("a credit");
    assert_eq!(first.balance_after.as_ref().map(|it| it.amount_minor), Some(500));
    let again = credit(&operator.on(world.channel(1)), &request, &user, 500).await.expect("the first credit");
    assert_eq!(again, first);
    assert_eq!(fan.balance().await.expect("a balance"), 500);
    assert_eq!(reason(&credit(&operator, &request, &user, 501).await.expect_err("another body")), "REQUEST_ID_REUSED");
    let unknown = credit(&operator, &request_id(), &request_id(), 500).await.expect_err("nobody");
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::NotFound, "NOT_FOUND"));
    let zero = credit(&operator, &request_id(), &user, 0).await.expect_err("nothing");
    assert_eq!(violated_fields(&zero), ["amount.amount_minor"]);
    let own = credit(&fan, &request_id(), &user, 500).await.expect_err("a fan");
    assert_eq!((own.code(), reason(&own).as_str()), (Code::PermissionDenied, "ROLE_NOT_ALLOWED"));
    assert_eq!(fan.balance().await.expect("a balance"), 500);
    ledger::assert_conserved(world.database()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_switch_stops_all_sales_on_every_instance() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    fan.top_up(50_000).await.expect("a credit");
    let request = request_id();
    let hold = fan.hold_as(&request, performance, &["S-A-1"]).await.expect("a hold");
    let got = client(&operator).get_sales_switch(operator.request(GetSalesSwitchRequest {})).await;
    assert!(!got.expect("the switch").into_inner().sales_switch.expect("the switch").is_stopped);

    set_switch(&operator, true).await;
    for turn in 0..2 {
        let fan = fan.on(world.channel(turn));
        until("the switch on every instance", || async {
            let refused = fan.hold(performance, &["C-A-4"]).await;
            matches!(refused, Err(status) if reason(&status) == "SALES_STOPPED")
        })
        .await;
        let refused = fan.hold(performance, &["S-A-2"]).await.expect_err("stopped");
        assert_eq!(reason(&refused), "SALES_STOPPED");
        assert_eq!(reason_metadata(&refused, "reason").as_deref(), Some("a fire alarm"));
        assert_eq!(reason(&fan.pay(&hold.reservation_id).await.expect_err("stopped")), "SALES_STOPPED");
        let by_card = fan.pay_by_card(&hold.reservation_id, encore_payment_gateway::APPROVE).await;
        assert_eq!(reason(&by_card.expect_err("stopped")), "SALES_STOPPED");
        let again = fan.hold_as(&request, performance, &["S-A-1"]).await.expect("a repeat is answered");
        assert_eq!(again.reservation_id, hold.reservation_id);
    }
    assert_eq!(ledger::payments(world.database()).await, 0);

    set_switch(&operator, false).await;
    for turn in 0..2 {
        let fan = fan.on(world.channel(turn));
        let seat = format!("S-A-{}", turn + 3);
        until("sales", || async { fan.hold(performance, &[&seat]).await.is_ok() }).await;
    }
    fan.pay(&hold.reservation_id).await.expect("sales go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_says_what_is_due() {
    let world = World::durable(2).await;
    let operator = world.operator().await;
    let performance = world.performance(None).await;
    let fan = world.fan(0).await;
    fan.top_up(50_000).await.expect("a credit");
    let first = fan.hold(performance, &["S-A-1", "C-A-1"]).await.expect("a hold");
    fan.pay(&first.reservation_id).await.expect("the wallet pays");
    let second = fan.hold(performance, &["S-A-2"]).await.expect("a hold");
    fan.pay_by_card(&second.reservation_id, encore_payment_gateway::APPROVE).await.expect("the card pays");
    let seat = first.seats[1].seat_id.clone();
    let price = first.seats[1].price.as_ref().map_or(0, |price| price.amount_minor);
    fan.cancel(&first.reservation_id, &[&seat]).await.expect("a refund");

    let settled = settlement(&operator, &performance.to_string()).await;
    let amount = |money: &Option<Money>| money.as_ref().map_or(0, |money| money.amount_minor);
    let [wallet, card] = &settled.items[..] else { panic!("two methods") };
    assert_eq!((wallet.method(), wallet.payments, amount(&wallet.sold)), (PaymentMethod::Wallet, 1, 19_500));
    assert_eq!((wallet.refunds, amount(&wallet.refunded), amount(&wallet.fees)), (1, price, 0));
    assert_eq!((card.method(), card.payments, amount(&card.sold)), (PaymentMethod::Card, 1, 12_000));
    assert_eq!(amount(&settled.due), 19_500 - price + 12_000);
    let last = settled.csv.lines().last().expect("a sum");
    let due = format!("{}.{:02}", (31_500 - price) / 100, (31_500 - price) % 100);
    assert!(last.contains(",all,EUR,2,315.00,1,") && last.ends_with(&format!(",{due},0,0,0")), "{last}");
    let unknown = GetSettlementRequest { performance_id: request_id() };
    let unknown = client(&operator).get_settlement(operator.request(unknown)).await.expect_err("no performance");
    assert_eq!(reason(&unknown), "NOT_FOUND");
    let foreign = GetSettlementRequest { performance_id: performance.to_string() };
    let foreign = client(&fan).get_settlement(fan.request(foreign)).await.expect_err("a fan");
    assert_eq!(reason(&foreign), "ROLE_NOT_ALLOWED");
    assert_eq!(found(&operator, performance).await, []);
}
