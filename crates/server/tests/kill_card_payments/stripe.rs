//! A Stripe outside of all instances, which can be frozen at one call: before it has an effect, or after it and before its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// At which call it freezes, once.
#[derive(Clone, Copy, Debug)]
pub struct Freeze {
    /// The last part of the path: `payment_intents` (a new one), `confirm`, `capture` or `refunds`.
    pub call: &'static str,
    /// Whether the call has its effect first.
    pub after_effect: bool,
}

#[derive(Default)]
struct Records {
    freeze: Option<Freeze>,
    saved: HashMap<String, (StatusCode, Value)>,
    intents: Vec<Value>,
    refunds: Vec<Value>,
    captures: usize,
}

#[derive(Clone, Default)]
pub struct Stripe {
    records: Arc<Mutex<Records>>,
    frozen: Arc<Notify>,
}

impl Stripe {
    /// Serves for as long as the test runs.
    pub async fn start(freeze: Freeze) -> (Self, String) {
        let stripe = Self::default();
        stripe.records.lock().expect("the records").freeze = Some(freeze);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(answer).with_state(stripe.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (stripe, url)
    }

    /// Waits until a call is frozen.
    pub async fn frozen(&self) {
        self.frozen.notified().await;
    }

    /// What it has reserved or taken for each payment, how often it captured, and the refunds.
    pub fn statement(&self) -> (Vec<String>, usize, Vec<i64>) {
        let records = self.records.lock().expect("the records");
        let asked = records.intents.iter().map(|intent| intent["status"].as_str().unwrap_or_default().to_owned());
        let statuses = asked.filter(|status| status != "requires_confirmation").collect();
        let refunds = records.refunds.iter().map(|refund| refund["amount"].as_i64().unwrap_or_default()).collect();
        (statuses, records.captures, refunds)
    }

    fn freezes(&self, call: &str, after_effect: bool) -> bool {
        let mut records = self.records.lock().expect("the records");
        let is_here = records.freeze.is_some_and(|it| it.call == call && it.after_effect == after_effect);
        if is_here {
            records.freeze = None;
        }
        is_here
    }

    async fn freeze_if(&self, call: &str, after_effect: bool) {
        if self.freezes(call, after_effect) {
            self.frozen.notify_one();
            std::future::pending::<()>().await;
        }
    }

    fn effect(&self, path: &[&str], form: &HashMap<String, String>) -> (StatusCode, Value) {
        let records = &mut *self.records.lock().expect("the records");
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        match path {
            ["payment_intents"] => {
                let id = format!("pi_{}", records.intents.len());
                let metadata = json!({ "encore_attempt": field("metadata[encore_attempt]") });
                let intent = json!({ "id": id, "status": "requires_confirmation", "metadata": metadata });
                records.intents.push(intent.clone());
                (StatusCode::OK, intent)
            }
            ["payment_intents", id, change] => {
                let Some(intent) = records.intents.iter_mut().find(|intent| intent["id"] == *id) else {
                    return refused("resource_missing");
                };
                let (from, to) = match *change {
                    "confirm" => ("requires_confirmation", "requires_capture"),
                    "capture" => ("requires_capture", "succeeded"),
                    _ => ("requires_capture", "canceled"),
                };
                if intent["status"] != from {
                    return refused("payment_intent_unexpected_state");
                }
                records.captures += usize::from(*change == "capture");
                intent["status"] = to.into();
                (StatusCode::OK, intent.clone())
            }
            ["refunds"] => {
                let amount: i64 = field("amount").parse().unwrap_or_default();
                let metadata = json!({ "encore_refund": field("metadata[encore_refund]") });
                let refund = json!({ "status": "succeeded", "amount": amount, "metadata": metadata });
                records.refunds.insert(0, refund.clone());
                (StatusCode::OK, refund)
            }
            _ => refused("resource_missing"),
        }
    }

    fn read(&self, path: &[&str]) -> (StatusCode, Value) {
        let records = self.records.lock().expect("the records");
        match path {
            ["refunds"] => (StatusCode::OK, json!({ "data": records.refunds })),
            ["payment_intents", id] => match records.intents.iter().find(|intent| intent["id"] == *id) {
                Some(intent) => (StatusCode::OK, intent.clone()),
                None => refused("resource_missing"),
            },
            _ => refused("resource_missing"),
        }
    }
}

fn refused(code: &str) -> (StatusCode, Value) {
    (StatusCode::BAD_REQUEST, json!({ "error": { "type": "invalid_request_error", "code": code } }))
}

/// The fields of a form. The values of these tests need no decoding but for brackets.
fn fields(form: &str) -> HashMap<String, String> {
    let decoded = form.replace("%5B", "[").replace("%5D", "]");
    let pairs = decoded.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn answer(State(stripe): State<Stripe>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path: Vec<&str> = head.uri.path().trim_start_matches("/v1/").split('/').collect();
    if head.method == "GET" {
        let (status, body) = stripe.read(&path);
        return (status, body.to_string()).into_response();
    }
    let form = to_bytes(body, 1 << 16).await.expect("a form");
    let form = fields(&String::from_utf8_lossy(&form));
    let call = path.last().copied().unwrap_or_default();
    stripe.freeze_if(call, false).await;
    let key = head.headers.get("Idempotency-Key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let saved = stripe.records.lock().expect("the records").saved.get(&key).cloned();
    if let Some((status, body)) = saved {
        return (status, [("Idempotent-Replayed", "true")], body.to_string()).into_response();
    }
    let (status, body) = stripe.effect(&path, &form);
    stripe.records.lock().expect("the records").saved.insert(key, (status, body.clone()));
    stripe.freeze_if(call, true).await;
    (status, body.to_string()).into_response()
}
