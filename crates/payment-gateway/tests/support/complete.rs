//! localstripe behind a server that adds what it lacks: idempotency keys, search, redirects for 3-D Secure, and the codes of refusals.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use reqwest::Client;
use serde_json::{Value, json};

use super::{RETURN_URL, serve, token};
use encore_domain::payment::gateway::MethodToken;

/// The variable with the URL of localstripe.
const URL_VARIABLE: &str = "ENCORE_LOCALSTRIPE_URL";
const KEY: &str = "sk_test_encore";

/// A complete Stripe.
pub struct Complete {
    /// Where it is.
    pub url: String,
    /// A card that must be authenticated.
    pub acting: MethodToken,
}

struct Facade {
    localstripe: String,
    http: Client,
    /// Answers by idempotency key.
    saved: Mutex<HashMap<String, (StatusCode, Value)>>,
}

impl Complete {
    pub async fn start() -> Self {
        let localstripe = std::env::var(URL_VARIABLE)
            .unwrap_or_else(|_| panic!("{URL_VARIABLE} is not set: run `cargo xtask test`, which starts localstripe"));
        // Another test of the process may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let facade = Facade { localstripe, http: Client::new(), saved: Mutex::default() };
        let card = "type=card&card[number]=4000002500003155&card[exp_month]=12&card[exp_year]=2030&card[cvc]=123";
        let (_, made) = facade.forward(Method::POST, "/v1/payment_methods", card.to_owned()).await;
        let acting = token(made["id"].as_str().expect("a payment method"));
        let url = serve(Router::new().fallback(answer).with_state(Arc::new(facade))).await;
        Self { url, acting }
    }
}

impl Facade {
    async fn forward(&self, method: Method, path: &str, form: String) -> (StatusCode, Value) {
        let request = self.http.request(method, format!("{}{path}", self.localstripe)).bearer_auth(KEY);
        let form_type = "application/x-www-form-urlencoded";
        let answer = request.header("Content-Type", form_type).body(form).send().await.expect("localstripe answers");
        (answer.status(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Stripe's search by metadata.
    async fn search(&self, uri: &Uri) -> (StatusCode, Value) {
        let query = uri.query().unwrap_or_default();
        let (_, list) = self.forward(Method::GET, "/v1/payment_intents?limit=10000", String::new()).await;
        let all = list["data"].as_array().cloned().unwrap_or_default();
        let attempt = |it: &Value| it["metadata"]["encore_attempt"].as_str().map(str::to_owned);
        let found: Vec<Value> =
            all.into_iter().filter(|it| attempt(it).is_some_and(|attempt| query.contains(&attempt))).collect();
        (StatusCode::OK, json!({ "object": "search_result", "data": found }))
    }

    async fn answer(&self, method: Method, uri: &Uri, form: String) -> (StatusCode, Value) {
        if uri.path() == "/v1/payment_intents/search" {
            return self.search(uri).await;
        }
        let form = if uri.path().ends_with("/confirm") {
            let expected = "return_url=https%3A%2F%2Ftickets.example%2Fpaid";
            assert_eq!(form, expected, "a confirmation says where to return to");
            String::new()
        } else {
            form
        };
        let creates = method == Method::POST && uri.path() == "/v1/payment_intents";
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let (status, mut body) = self.forward(method, path, form).await;
        if body["next_action"]["type"] == "use_stripe_sdk" {
            let redirect = json!({ "url": "https://hooks.stripe.example/3ds", "return_url": RETURN_URL });
            body["next_action"] = json!({ "type": "redirect_to_url", "redirect_to_url": redirect });
        }
        if creates && matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
            body["error"]["code"] = "resource_missing".into();
            body["error"]["param"] = "payment_method".into();
        }
        if uri.path() == "/v1/refunds"
            && let Some(refunds) = body["data"].as_array_mut()
        {
            // The newest first, also of those of the same second.
            refunds.reverse();
            refunds.sort_by_key(|refund| std::cmp::Reverse(refund["created"].as_i64()));
        }
        (status, body)
    }
}

async fn answer(State(facade): State<Arc<Facade>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, 1 << 16).await.expect("a form");
    let form = String::from_utf8(body.to_vec()).expect("a form");
    let key = head.headers.get("Idempotency-Key").map(|key| key.to_str().expect("a key").to_owned());
    assert!(head.headers.contains_key("Stripe-Version"));
    let saved = key.as_ref().and_then(|key| facade.saved.lock().expect("the answers").get(key).cloned());
    if let Some((status, body)) = saved {
        return (status, [("Idempotent-Replayed", "true")], body.to_string()).into_response();
    }
    let (status, body) = facade.answer(head.method, &head.uri, form).await;
    // What was refused before it was begun is not saved.
    if let Some(key) = key
        && !matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)
    {
        facade.saved.lock().expect("the answers").insert(key, (status, body.clone()));
    }
    (status, body.to_string()).into_response()
}
