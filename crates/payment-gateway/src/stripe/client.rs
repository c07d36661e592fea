//! The few calls of Stripe's API, and what their failures mean.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use encore_domain::error::Unavailable;
use encore_domain::payment::gateway::FailureReason;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use thiserror::Error;
use tracing::{error, warn};

use super::objects::{ApiError, ErrorBody};

/// The version of the API whose objects are read.
const API_VERSION: &str = "2024-06-20";
/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// How long an idle connection is kept.
const IDLE_FOR: Duration = Duration::from_mins(1);
/// The longest answer that is read. Stripe's are some kilobytes; a page of refunds is the longest.
const ANSWER_MAX: usize = 1 << 20;
/// The longest secret key.
const KEY_MAX_LEN: usize = 255;
/// The name of the gateway in errors.
const GATEWAY: &str = "the payment gateway";

/// A secret or restricted key of Stripe. `Debug` leaves it out.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(String);

/// The text is no secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a secret key (sk_…) or a restricted key (rk_…) of Stripe")]
pub struct NotASecretKey;

impl SecretKey {
    /// Checks a key.
    pub fn parse(text: &str) -> Result<Self, NotASecretKey> {
        let is_key = ["sk_", "rk_"].iter().any(|prefix| text.len() > prefix.len() && text.starts_with(prefix));
        let fits = text.len() <= KEY_MAX_LEN && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_key && fits { Ok(Self(text.to_owned())) } else { Err(NotASecretKey) }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// Why a call had no answer to work with.
#[derive(Debug)]
pub(super) enum CallError {
    /// Nobody knows whether it took effect.
    Unknown(Unavailable),
    /// Stripe refused it, so it did not take effect.
    Refused {
        why: ApiError,
        /// Whether this is the saved answer of an earlier call with the same idempotency key.
        is_saved: bool,
    },
    /// No charge was made, and none will be with this method or amount.
    Declined(FailureReason),
}

impl CallError {
    /// An answer that is none: what Stripe refuses here must be possible.
    pub(super) fn into_unavailable(self) -> Unavailable {
        match self {
            Self::Unknown(unavailable) => unavailable,
            Self::Refused { why, .. } => {
                Unavailable::new(GATEWAY, format!("refused: {}", why.code.unwrap_or(why.kind)))
            }
            Self::Declined(reason) => Unavailable::new(GATEWAY, format!("declined: {}", reason.name())),
        }
    }

    /// Nobody knows, for this reason.
    pub(super) fn unknown(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unknown(Unavailable::new(GATEWAY, why))
    }
}

/// An answer, and whether it is the saved one of an earlier call with the same idempotency key: then it says how things were.
pub(super) struct Answer<T> {
    pub body: T,
    pub is_saved: bool,
}

/// A client of one account.
pub(super) struct StripeClient {
    http: Client,
    url: Url,
    key: SecretKey,
}

impl StripeClient {
    pub(super) fn new(url: Url, key: SecretKey, call_within: Duration) -> Result<Self, reqwest::Error> {
        // The process may have chosen another provider before; that one is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(call_within)
            .pool_idle_timeout(IDLE_FOR)
            .build()?;
        Ok(Self { http, url, key })
    }

    /// Asks for an object or a list.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, CallError> {
        let mut url = self.at(path);
        url.query_pairs_mut().extend_pairs(query);
        Ok(self.call(self.http.request(Method::GET, url)).await?.body)
    }

    /// Changes something. The same key makes the same change once.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        form: &[(&str, &str)],
        key: Option<&str>,
    ) -> Result<Answer<T>, CallError> {
        let request = self.http.request(Method::POST, self.at(path)).form(form);
        let request = if let Some(key) = key { request.header("Idempotency-Key", key) } else { request };
        self.call(request).await
    }

    /// Segments are escaped, so that no id leads elsewhere.
    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        url
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<Answer<T>, CallError> {
        let request = request.bearer_auth(&self.key.0).header("Stripe-Version", API_VERSION);
        let answer = request.send().await.map_err(|error| CallError::unknown(error.without_url()))?;
        let status = answer.status();
        let is_saved = answer.headers().get("Idempotent-Replayed").is_some_and(|value| value == "true");
        let id = request_id(answer.headers());
        let body = read(answer).await?;
        if status.is_success() {
            let body = serde_json::from_slice(&body).map_err(|error| {
                // The error may quote the answer, so only where it is wrong is said.
                CallError::unknown(format!("an answer cannot be read at column {}", error.column()))
            })?;
            return Ok(Answer { body, is_saved });
        }
        Err(refusal(status, &body, is_saved, &id))
    }
}

/// What an answer other than success means.
fn refusal(status: StatusCode, body: &[u8], is_saved: bool, request: &str) -> CallError {
    let unknown = || CallError::unknown(format!("status {}, request {request}", status.as_u16()));
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        error!(
            alarm = "gateway_key_refused",
            status = status.as_u16(),
            request,
            "stripe refuses the secret key, or what it may do; no card is charged"
        );
        return unknown();
    }
    if !matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYMENT_REQUIRED | StatusCode::NOT_FOUND) {
        return unknown();
    }
    let Ok(ErrorBody { error: why }) = serde_json::from_slice(body) else { return unknown() };
    if why.kind == "idempotency_error" {
        error!(request, "stripe knows the idempotency key of another request; asked again later");
        return unknown();
    }
    if why.kind != "card_error" {
        let (code, param) = (why.code.as_deref(), why.param.as_deref());
        warn!(status = status.as_u16(), code, param, request, "stripe refused a request");
    }
    CallError::Refused { why, is_saved }
}

fn request_id(headers: &HeaderMap) -> String {
    let id = headers.get("Request-Id").and_then(|id| id.to_str().ok());
    id.filter(|id| id.len() <= KEY_MAX_LEN).unwrap_or("unknown").to_owned()
}

/// Reads an answer of bounded length.
async fn read(mut answer: Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| CallError::unknown(error.without_url()))? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(CallError::unknown(format!("an answer is longer than {ANSWER_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_logged() {
        let key = SecretKey::parse("sk_test_4eC39HqLyjWDarjtT1zdp7dc").expect("a key");
        assert!(!format!("{key:?}").contains("4eC39"));
        for text in ["", "sk_", "pk_test_1", "sk_live_\n1", "sk_live 1"] {
            assert_eq!(SecretKey::parse(text), Err(NotASecretKey), "{text:?}");
        }
    }
}
