//! A receiver of webhooks on a port of its own.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What a receiver answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status.
    Status(u16),
    /// A redirect.
    RedirectTo(String),
    /// Nothing, and the connection stays open.
    Never,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its head.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

impl Received {
    /// The value of a header.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The id of the event.
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }
}

/// A receiver. It stops when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    /// Where it is.
    pub url: String,
    state: Arc<Mutex<Requests>>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Requests {
    received: Vec<Received>,
    /// The answers to the next requests.
    next: VecDeque<Answer>,
    /// The answer to all others; none for 204.
    otherwise: Option<Answer>,
}

impl Receiver {
    /// Starts one that answers 204.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("its address"));
        let state = Arc::new(Mutex::new(Requests::default()));
        let router = Router::new().fallback(take).with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, state, serving }
    }

    fn state(&self) -> MutexGuard<'_, Requests> {
        lock(&self.state)
    }

    /// Answers the next request so.
    pub fn answer_next(&self, answer: Answer) {
        self.state().next.push_back(answer);
    }

    /// Answers all requests so that have no answer of their own.
    pub fn answer(&self, answer: Answer) {
        self.state().otherwise = Some(answer);
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// The ids of the events so far, in order.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.state().received.iter().map(|received| received.id().to_owned()).collect();
        ids.sort_unstable();
        ids
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(state: &Mutex<Requests>) -> MutexGuard<'_, Requests> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(state): State<Arc<Mutex<Requests>>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8_lossy(&body).into_owned();
    let answer = {
        let mut state = lock(&state);
        state.received.push(Received { headers, body });
        state.next.pop_front().or_else(|| state.otherwise.clone()).unwrap_or(Answer::Status(204))
    };
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
        Answer::RedirectTo(url) => {
            let location = HeaderValue::from_str(&url).expect("a URL");
            (StatusCode::TEMPORARY_REDIRECT, [("location", location)]).into_response()
        }
        Answer::Never => pending().await,
    }
}
