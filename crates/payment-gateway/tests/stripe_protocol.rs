//! What the Stripe adapter makes of answers that localstripe never gives: saved answers, refusals, outages and broken connections. The
//! answers have the form that Stripe documents.
#![expect(clippy::expect_used, reason = "tests")]

mod support;

use std::time::Duration;

use encore_domain::ids::RefundId;
use encore_domain::payment::gateway::{Charge, ChargeStatus, DisputeStatus, FailureReason, RefundStatus};
use encore_domain::ports::PaymentGateway;
use encore_payment_gateway::{SecretKey, StripeConfig, StripeGateway};
use encore_port_tests::fixtures::{euros, id, start};
use serde_json::{Value, json};

use self::support::scripted::{Reply, Scripted};
use self::support::{RETURN_URL, gateway, token};

fn charge() -> Charge {
    Charge { attempt: id(), payment: id(), amount: euros(12_000), method: token("pm_1"), begun_at: start() }
}

fn intent(status: &str) -> Value {
    json!({ "id": "pi_1", "object": "payment_intent", "status": status, "last_payment_error": null, "next_action": null })
}

fn declined(code: &str, decline_code: &str) -> Value {
    let error = json!({ "type": "card_error", "code": code, "decline_code": decline_code, "message": "no" });
    json!({ "id": "pi_1", "status": "requires_payment_method", "last_payment_error": error })
}

fn refusal(kind: &str, code: &str) -> Value {
    json!({ "error": { "type": kind, "code": code, "message": "pm_1 is secret" } })
}

fn refunds(all: &[(&str, i64, Option<RefundId>)]) -> Value {
    let one = |(status, amount, id): &(&str, i64, Option<RefundId>)| {
        let metadata = id.map_or_else(|| json!({}), |id| json!({ "encore_refund": id.to_string() }));
        json!({ "id": "re_1", "status": status, "amount": amount, "metadata": metadata })
    };
    json!({ "data": all.iter().map(one).collect::<Vec<_>>() })
}

/// A gateway and its script.
async fn scripted(replies: impl IntoIterator<Item = Reply>) -> (StripeGateway, Scripted) {
    let (scripted, url) = Scripted::start(replies).await;
    (gateway(url, Duration::ZERO), scripted)
}

const CREATE: &str = "POST /v1/payment_intents";
const READ: &str = "GET /v1/payment_intents/pi_1";
const CONFIRM: &str = "POST /v1/payment_intents/pi_1/confirm";
const CAPTURE: &str = "POST /v1/payment_intents/pi_1/capture";

#[tokio::test]
async fn an_attempt_is_created_and_confirmed_under_keys_of_its_own() {
    let new = Reply::Json(200, intent("requires_confirmation"));
    let (gateway, script) = scripted([new, Reply::Json(200, intent("requires_capture"))]).await;
    let charge = charge();
    assert_eq!(gateway.authorize(&charge).await.expect("an answer").charge, ChargeStatus::Authorized);
    assert_eq!(script.paths(), [CREATE, CONFIRM]);
    let [create, confirm] = &script.calls()[..] else { panic!("two calls") };
    assert_eq!(create.key(), Some(format!("create/{}", charge.attempt).as_str()));
    assert_eq!(confirm.key(), Some(format!("confirm/{}", charge.attempt).as_str()));
    for part in ["amount=12000", "currency=eur", "capture_method=manual", "payment_method=pm_1"] {
        assert!(create.form.split('&').any(|it| it == part), "{part} in {}", create.form);
    }
    assert!(create.form.contains(&charge.attempt.to_string()) && create.form.contains(&charge.payment.to_string()));
    assert_eq!(create.headers["Authorization"], "Bearer sk_test_encore");
}

#[tokio::test]
async fn a_saved_answer_is_not_the_state_of_now() {
    let replies = [
        Reply::Saved(200, intent("requires_confirmation")),
        Reply::Json(200, intent("requires_action")),
        Reply::Json(200, intent("succeeded")),
        Reply::Json(200, refunds(&[])),
    ];
    let (gateway, script) = scripted(replies).await;
    let charge = charge();
    let found = gateway.look_up(&charge).await.expect("an answer").expect("the attempt");
    assert!(matches!(found.charge, ChargeStatus::NeedsAction(_)), "{found:?}");
    assert_eq!(script.paths(), [CREATE, READ]);
    let found = gateway.look_up(&charge).await.expect("an answer").expect("the attempt");
    assert_eq!(found.charge, ChargeStatus::Captured);
    assert_eq!(script.paths()[2..], [READ, "GET /v1/refunds"]);
}

#[tokio::test]
async fn an_attempt_that_was_not_confirmed_is_none() {
    let (gateway, _) = scripted([Reply::Json(200, intent("requires_confirmation"))]).await;
    assert_eq!(gateway.look_up(&charge()).await.expect("an answer"), None);
}

#[tokio::test]
async fn a_redirect_is_handed_to_the_fan() {
    let mut acting = intent("requires_action");
    acting["next_action"] =
        json!({ "type": "redirect_to_url", "redirect_to_url": { "url": "https://hooks.stripe.com/3ds" } });
    let new = || Reply::Json(200, intent("requires_confirmation"));
    let (gateway, script) = scripted([new(), Reply::Json(200, acting)]).await;
    let ChargeStatus::NeedsAction(action) = gateway.authorize(&charge()).await.expect("an answer").charge else {
        panic!("an action")
    };
    assert_eq!(action.url, "https://hooks.stripe.com/3ds");
    assert_eq!(script.calls()[1].form, "return_url=https%3A%2F%2Ftickets.example%2Fpaid");
}

#[tokio::test]
async fn a_declined_card_is_declined_for_its_reason() {
    for (code, decline_code, reason) in [
        ("card_declined", "insufficient_funds", FailureReason::InsufficientFunds),
        ("card_declined", "lost_card", FailureReason::Declined),
        ("expired_card", "expired_card", FailureReason::MethodInvalid),
        ("authentication_required", "authentication_required", FailureReason::ActionFailed),
    ] {
        let replies = [
            Reply::Json(200, intent("requires_confirmation")),
            Reply::Json(402, refusal("card_error", code)),
            Reply::Json(200, declined(code, decline_code)),
            Reply::Json(200, declined(code, decline_code)),
        ];
        let (gateway, script) = scripted(replies).await;
        let charge = charge();
        let status = ChargeStatus::Declined(reason);
        assert_eq!(gateway.authorize(&charge).await.expect("an answer").charge, status, "{code}");
        // The card is not asked again.
        assert_eq!(gateway.authorize(&charge).await.expect("an answer").charge, status, "{code}");
        assert_eq!(script.paths(), [CREATE, CONFIRM, READ, READ]);
    }
}

#[tokio::test]
async fn a_method_of_another_account_is_declined_and_no_error() {
    let missing =
        json!({ "error": { "type": "invalid_request_error", "code": "resource_missing", "param": "payment_method" } });
    let (gateway, _) = scripted([Reply::Json(400, missing.clone()), Reply::Json(400, missing)]).await;
    let charge = charge();
    let status = ChargeStatus::Declined(FailureReason::MethodInvalid);
    assert_eq!(gateway.authorize(&charge).await.expect("an answer").charge, status);
    assert_eq!(gateway.look_up(&charge).await.expect("an answer").expect("the attempt").charge, status);
}

#[tokio::test]
async fn what_nobody_knows_is_never_called_declined() {
    let unknown: Vec<fn() -> Reply> = vec![
        || Reply::Json(500, refusal("api_error", "")),
        || Reply::Json(503, Value::Null),
        || Reply::Json(429, refusal("invalid_request_error", "rate_limit")),
        || Reply::Json(409, refusal("idempotency_error", "idempotency_key_in_use")),
        || Reply::Json(400, refusal("idempotency_error", "")),
        || Reply::Json(401, refusal("invalid_request_error", "")),
        || Reply::Json(403, refusal("invalid_request_error", "")),
        || Reply::Text(400, "<html>a proxy</html>"),
        || Reply::Text(404, "not here"),
        || Reply::Text(200, "<html>log in to this network</html>"),
        || Reply::Text(302, ""),
        || Reply::Cut,
        || Reply::Endless,
    ];
    for (index, reply) in unknown.iter().enumerate() {
        let (first, _) = scripted([reply()]).await;
        assert!(first.authorize(&charge()).await.is_err(), "creating, {index}");
        let (second, script) = scripted([Reply::Json(200, intent("requires_confirmation")), reply()]).await;
        assert!(second.authorize(&charge()).await.is_err(), "confirming, {index}");
        assert_eq!(script.paths(), [CREATE, CONFIRM]);
        let (looking, _) = scripted([reply()]).await;
        assert!(looking.look_up(&charge()).await.is_err(), "looking up, {index}");
    }
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_is_not_waited_for() {
    let (_, url) = Scripted::start([Reply::Hang]).await;
    let config = StripeConfig {
        secret_key: SecretKey::parse("sk_test_encore").expect("a key"),
        url,
        return_url: RETURN_URL.to_owned(),
        call_within: Duration::from_millis(50),
    };
    let gateway = StripeGateway::new(config, support::clock()).expect("a gateway");
    let unknown = gateway.authorize(&charge()).await.expect_err("no answer");
    assert!(!format!("{unknown:?}").contains("sk_test"), "{unknown:?}");
}

#[tokio::test]
async fn an_answer_that_was_lost_is_found() {
    let replies = [
        Reply::Json(200, intent("requires_confirmation")),
        Reply::Cut,
        Reply::Json(200, intent("requires_capture")),
        Reply::Cut,
        Reply::Json(200, intent("succeeded")),
        Reply::Json(400, refusal("invalid_request_error", "payment_intent_unexpected_state")),
        Reply::Json(200, intent("succeeded")),
        Reply::Json(200, refunds(&[])),
    ];
    let (gateway, script) = scripted(replies).await;
    let charge = charge();
    assert!(gateway.authorize(&charge).await.is_err());
    let capturing = gateway.capture(&charge).await;
    assert!(capturing.is_err(), "the card was asked before, and the amount is taken: {capturing:?}");
    let captured = gateway.capture(&charge).await.expect("an answer");
    assert_eq!(captured.charge, ChargeStatus::Captured, "already captured is a success");
    assert_eq!(script.paths()[4..], [READ, CAPTURE, READ, "GET /v1/refunds"]);
}

#[tokio::test]
async fn a_saved_failure_is_asked_again_without_the_key() {
    let replies = [
        Reply::Saved(200, intent("requires_confirmation")),
        Reply::Json(200, intent("requires_capture")),
        Reply::Saved(400, refusal("invalid_request_error", "lock_timeout")),
        Reply::Json(200, intent("succeeded")),
        Reply::Json(200, refunds(&[])),
    ];
    let (gateway, script) = scripted(replies).await;
    assert_eq!(gateway.capture(&charge()).await.expect("an answer").charge, ChargeStatus::Captured);
    let calls = script.calls();
    assert!(calls[2].key().is_some() && calls[3].key().is_none());
}

#[tokio::test]
async fn a_capture_ends_where_stripe_says_never() {
    let replies = |code| {
        [
            Reply::Json(200, intent("requires_capture")),
            Reply::Json(400, refusal("invalid_request_error", code)),
            Reply::Json(200, intent("requires_capture")),
        ]
    };
    let (gateway, _) = scripted(replies("charge_expired_for_capture")).await;
    assert_eq!(gateway.capture(&charge()).await.expect("an answer").charge, ChargeStatus::CaptureRefused);
    let (gateway, _) = scripted(replies("processing_error")).await;
    assert!(gateway.capture(&charge()).await.is_err(), "asked again");
    let canceled = [
        Reply::Json(200, intent("canceled")),
        Reply::Json(400, refusal("invalid_request_error", "payment_intent_unexpected_state")),
        Reply::Json(200, intent("canceled")),
    ];
    let (gateway, _) = scripted(canceled).await;
    assert_eq!(gateway.capture(&charge()).await.expect("an answer").charge, ChargeStatus::Voided);
}

#[tokio::test]
async fn already_cancelled_is_voided_and_already_captured_is_captured() {
    for (status, expected) in [("canceled", ChargeStatus::Voided), ("succeeded", ChargeStatus::Captured)] {
        let replies = [
            Reply::Json(200, intent(status)),
            Reply::Json(400, refusal("invalid_request_error", "payment_intent_unexpected_state")),
            Reply::Json(200, intent(status)),
            Reply::Json(200, refunds(&[])),
        ];
        let (gateway, _) = scripted(replies).await;
        assert_eq!(gateway.void(&charge()).await.expect("an answer").charge, expected);
    }
}

#[tokio::test]
async fn a_refund_is_made_once_even_when_its_key_is_forgotten() {
    let refund = id();
    let replies =
        [Reply::Json(200, intent("succeeded")), Reply::Json(200, refunds(&[("pending", 5_000, Some(refund))]))];
    let (gateway, script) = scripted(replies).await;
    let view = gateway.refund(&charge(), refund, euros(5_000)).await.expect("an answer");
    assert_eq!(view.refunds, [(refund, RefundStatus::Pending)]);
    assert_eq!(script.paths(), [CREATE, "GET /v1/refunds"], "none is made");
}

#[tokio::test]
async fn what_was_given_back_elsewhere_is_not_given_back_again() {
    let refund = id();
    let by_hand = [Reply::Json(200, intent("succeeded")), Reply::Json(200, refunds(&[("succeeded", 12_000, None)]))];
    let (gateway, script) = scripted(by_hand).await;
    let view = gateway.refund(&charge(), refund, euros(12_000)).await.expect("an answer");
    assert_eq!(view.refunds, [(refund, RefundStatus::Succeeded)]);
    assert_eq!(script.paths().len(), 2);
}

#[tokio::test]
async fn a_dispute_is_found_from_both_ends() {
    let payment = charge().payment;
    let of_encore =
        json!({ "id": "pi_1", "status": "succeeded", "metadata": { "encore_payment": payment.to_string() } });
    for (reply, expected) in [
        (Reply::Json(200, of_encore), Some(payment)),
        (Reply::Json(200, intent("succeeded")), None),
        (Reply::Json(404, refusal("invalid_request_error", "resource_missing")), None),
    ] {
        let (gateway, script) = scripted([reply]).await;
        assert_eq!(gateway.payment_of("pi_1").await.expect("an answer"), expected);
        assert_eq!(script.paths(), [READ]);
    }
    let (gateway, _) = scripted([Reply::Json(500, Value::Null)]).await;
    assert!(gateway.payment_of("pi_1").await.is_err(), "nobody knows");

    for (status, expected) in [
        ("needs_response", DisputeStatus::Open),
        ("under_review", DisputeStatus::Open),
        ("lost", DisputeStatus::Lost),
        ("won", DisputeStatus::Won),
        ("warning_closed", DisputeStatus::Won),
    ] {
        let disputes = json!({ "data": [{ "status": status }] });
        let (gateway, script) = scripted([Reply::Json(200, intent("succeeded")), Reply::Json(200, disputes)]).await;
        assert_eq!(gateway.dispute(&charge()).await.expect("an answer"), Some(expected), "{status}");
        assert_eq!(script.paths(), [CREATE, "GET /v1/disputes"]);
    }
    let none = json!({ "data": [] });
    let (gateway, _) = scripted([Reply::Json(200, intent("succeeded")), Reply::Json(200, none)]).await;
    assert_eq!(gateway.dispute(&charge()).await.expect("an answer"), None);
}

#[tokio::test]
async fn a_refund_that_stripe_refuses_has_failed() {
    for (status, body, expected) in [
        (200, json!({ "status": "failed", "amount": 5_000 }), RefundStatus::Failed),
        (200, json!({ "status": "requires_action", "amount": 5_000 }), RefundStatus::Pending),
        (400, refusal("invalid_request_error", "charge_already_refunded"), RefundStatus::Failed),
        (400, refusal("invalid_request_error", "charge_disputed"), RefundStatus::Failed),
    ] {
        let refund = id();
        let replies =
            [Reply::Json(200, intent("succeeded")), Reply::Json(200, refunds(&[])), Reply::Json(status, body)];
        let (gateway, script) = scripted(replies).await;
        let view = gateway.refund(&charge(), refund, euros(5_000)).await.expect("an answer");
        assert_eq!(view.refunds, [(refund, expected)]);
        assert_eq!(script.calls()[2].key(), Some(format!("refund/{refund}").as_str()));
    }
    let replies =
        [Reply::Json(200, intent("succeeded")), Reply::Json(200, refunds(&[])), Reply::Json(500, Value::Null)];
    let (gateway, _) = scripted(replies).await;
    assert!(gateway.refund(&charge(), id(), euros(5_000)).await.is_err(), "nobody knows");
}

#[tokio::test]
async fn ids_of_answers_lead_nowhere_else() {
    let mut hostile = intent("requires_confirmation");
    hostile["id"] = "../../v1/transfers?x=#".into();
    let (gateway, script) = scripted([Reply::Json(200, hostile)]).await;
    let _ = gateway.authorize(&charge()).await;
    let paths = script.paths();
    assert!(paths.iter().all(|path| path.starts_with("POST /v1/payment_intents")), "{paths:?}");
}

#[test]
fn only_the_loopback_is_reached_without_tls() {
    let check = |url: &str, return_url: &str| {
        let secret_key = SecretKey::parse("sk_test_encore").expect("a key");
        let (url, return_url) = (url.to_owned(), return_url.to_owned());
        StripeConfig { secret_key, url, return_url, call_within: Duration::from_secs(1) }.check().is_ok()
    };
    for url in ["https://api.stripe.com", "http://127.0.0.1:8420", "http://localhost:1/", "http://[::1]:1"] {
        assert!(check(url, RETURN_URL), "{url}");
    }
    for url in
        ["", "http://api.stripe.com", "ftp://api.stripe.com", "https://", "https://a?b", "https://u:p@a", "mailto:a"]
    {
        assert!(!check(url, RETURN_URL), "{url}");
    }
    assert!(check("https://api.stripe.com", "myapp://paid") && !check("https://api.stripe.com", "paid"));
}
