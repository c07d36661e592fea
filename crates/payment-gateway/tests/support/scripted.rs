//! A server that answers what the test says, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::Value;

use super::serve;

/// One answer.
pub enum Reply {
    /// A status and a body.
    Json(u16, Value),
    /// The saved answer of an earlier call with the same idempotency key.
    Saved(u16, Value),
    /// It has effect, and the connection breaks before the answer is complete.
    Cut,
    /// A body that never ends.
    Endless,
    /// A status and a body that is no JSON.
    Text(u16, &'static str),
    /// No answer.
    Hang,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method and path, such as `POST /v1/refunds`.
    pub what: String,
    /// The decoded query or form.
    pub form: String,
    pub headers: HeaderMap,
}

impl Call {
    pub fn key(&self) -> Option<&str> {
        self.headers.get("Idempotency-Key").map(|key| key.to_str().expect("a key"))
    }
}

#[derive(Clone, Default)]
pub struct Scripted {
    state: Arc<Mutex<(VecDeque<Reply>, Vec<Call>)>>,
}

impl Scripted {
    /// Answers in this order. A call too many is answered with status 599.
    pub async fn start(replies: impl IntoIterator<Item = Reply>) -> (Self, String) {
        let scripted = Self::default();
        scripted.state.lock().expect("the script").0.extend(replies);
        let url = serve(Router::new().fallback(answer).with_state(scripted.clone())).await;
        (scripted, url)
    }

    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().expect("the script").1.clone()
    }

    /// Method and path of each call.
    pub fn paths(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.what).collect()
    }
}

async fn answer(State(scripted): State<Scripted>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 16).await.expect("a form");
    let form = if body.is_empty() {
        head.uri.query().unwrap_or_default().to_owned()
    } else {
        String::from_utf8(body.to_vec()).expect("a form")
    };
    let what = format!("{} {}", head.method, head.uri.path());
    let reply = {
        let mut state = scripted.state.lock().expect("the script");
        state.1.push(Call { what, form, headers: head.headers });
        state.0.pop_front()
    };
    let status = |status| StatusCode::from_u16(status).expect("a status");
    match reply {
        Some(Reply::Json(code, body)) => (status(code), body.to_string()).into_response(),
        Some(Reply::Saved(code, body)) => {
            (status(code), [("Idempotent-Replayed", "true")], body.to_string()).into_response()
        }
        Some(Reply::Text(code, body)) => (status(code), body).into_response(),
        Some(Reply::Cut) => {
            let broken: [Result<&str, std::io::Error>; 2] = [Ok("{\"id\":"), Err(std::io::Error::other("cut"))];
            Body::from_stream(stream::iter(broken)).into_response()
        }
        Some(Reply::Endless) => {
            let more = stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(1 << 16)));
            Body::from_stream(more).into_response()
        }
        Some(Reply::Hang) => std::future::pending().await,
        None => status(599).into_response(),
    }
}
