//! A Stripe outside of all instances, which can be frozen at one call: before it has an effect, or after it and before its answer. It can
//! also be stopped, as a process is by SIGSTOP: connections and requests arrive, and are worked off when it goes on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

/// At which call it freezes, once.
#[derive(Clone, Copy, Debug)]
pub struct Freeze {
    /// The last part of the path: `payment_intents` (a new one), `confirm`, `capture`, `cancel` or `refunds`.
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
    stopped: Arc<watch::Sender<bool>>,
    /// How many requests arrived while it was stopped.
    kept_waiting: Arc<watch::Sender<usize>>,
}

/// The payment method for which the bank wants to see the fan first.
pub const NEEDS_ACTION: &str = "pm_needs_action";

impl Stripe {
    /// Serves for as long as the test runs.
    pub async fn start(freeze: Option<Freeze>) -> (Self, String) {
        let stripe = Self::default();
        stripe.records.lock().expect("the records").freeze = freeze;
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

    /// Stops or goes on.
    pub fn set_stopped(&self, is_stopped: bool) {
        self.stopped.send_replace(is_stopped);
    }

    /// Waits until this many requests have arrived while it was stopped.
    pub async fn kept_waiting(&self, requests: usize) {
        let mut kept_waiting = self.kept_waiting.subscribe();
        kept_waiting.wait_for(|kept| *kept >= requests).await.expect("the gateway");
    }

    async fn wait_while_stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        if *stopped.borrow() {
            self.kept_waiting.send_modify(|kept| *kept += 1);
        }
        stopped.wait_for(|is_stopped| !is_stopped).await.expect("the gateway");
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

    /// The answer, and whether it is the saved one of an earlier request with this key.
    fn answer_once(&self, key: &str, path: &[&str], form: &HashMap<String, String>) -> (StatusCode, Value, bool) {
        let records = &mut *self.records.lock().expect("the records");
        if let Some((status, body)) = records.saved.get(key).cloned() {
            return (status, body, true);
        }
        let (status, body) = records.effect(path, form);
        records.saved.insert(key.to_owned(), (status, body.clone()));
        (status, body, false)
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

impl Records {
    fn effect(&mut self, path: &[&str], form: &HashMap<String, String>) -> (StatusCode, Value) {
        let field = |name: &str| form.get(name).cloned().unwrap_or_default();
        match path {
            ["payment_intents"] => {
                let id = format!("pi_{}", self.intents.len());
                let metadata = json!({ "encore_attempt": field("metadata[encore_attempt]") });
                let (status, method) = ("requires_confirmation", field("payment_method"));
                let intent = json!({ "id": id, "status": status, "payment_method": method, "metadata": metadata });
                self.intents.push(intent.clone());
                (StatusCode::OK, intent)
            }
            ["payment_intents", id, change] => {
                let Some(intent) = self.intents.iter_mut().find(|intent| intent["id"] == *id) else {
                    return refused("resource_missing");
                };
                let to = match (*change, intent["status"].as_str().unwrap_or_default()) {
                    ("confirm", "requires_confirmation") if intent["payment_method"] == NEEDS_ACTION => {
                        "requires_action"
                    }
                    ("confirm", "requires_confirmation") => "requires_capture",
                    ("capture", "requires_capture") => "succeeded",
                    ("cancel", "requires_action" | "requires_capture") => "canceled",
                    _ => return refused("payment_intent_unexpected_state"),
                };
                self.captures += usize::from(to == "succeeded");
                intent["status"] = to.into();
                (StatusCode::OK, intent.clone())
            }
            ["refunds"] => {
                let amount: i64 = field("amount").parse().unwrap_or_default();
                let metadata = json!({ "encore_refund": field("metadata[encore_refund]") });
                let refund = json!({ "status": "succeeded", "amount": amount, "metadata": metadata });
                self.refunds.insert(0, refund.clone());
                (StatusCode::OK, refund)
            }
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

/// A request that arrived is worked off, whether or not its sender still waits.
async fn answer(State(stripe): State<Stripe>, request: Request) -> Response {
    tokio::spawn(work_off(stripe, request)).await.expect("an answer")
}

async fn work_off(stripe: Stripe, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let form = to_bytes(body, 1 << 16).await.expect("a form");
    stripe.wait_while_stopped().await;
    let path: Vec<&str> = head.uri.path().trim_start_matches("/v1/").split('/').collect();
    if head.method == "GET" {
        let (status, body) = stripe.read(&path);
        return (status, body.to_string()).into_response();
    }
    let form = fields(&String::from_utf8_lossy(&form));
    let call = path.last().copied().unwrap_or_default();
    stripe.freeze_if(call, false).await;
    let key = head.headers.get("Idempotency-Key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    let (status, body, is_saved) = stripe.answer_once(key, &path, &form);
    if is_saved {
        return (status, [("Idempotent-Replayed", "true")], body.to_string()).into_response();
    }
    stripe.freeze_if(call, true).await;
    (status, body.to_string()).into_response()
}
