use std::fmt;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use thiserror::Error;

use crate::webhooks::reason;

/// How long a request may take, its answer included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest pause that a webhook may ask for.
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// An incoming webhook in the format of Slack, which many others take. Its URL is a secret: `Debug` leaves it out, and no error names it.
#[derive(Clone)]
pub struct AlarmWebhook {
    http: Client,
    url: Url,
}

/// What cannot be the URL of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum AlarmWebhookError {
    #[error("must be a URL that begins with https:// or http://")]
    Url,
    #[error("no requests can be made")]
    Client,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Posted {
    Taken,
    /// It will not be taken another time either.
    Refused(StatusCode),
    /// It may be taken later, after a pause if the webhook asks for one.
    Later(String, Option<Duration>),
}

impl AlarmWebhook {
    /// The webhook at this URL. It may be at a private address: it is the operator's own.
    pub fn new(url: &str) -> Result<Self, AlarmWebhookError> {
        let url = Url::parse(url).map_err(|_| AlarmWebhookError::Url)?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
            return Err(AlarmWebhookError::Url);
        }
        // The process may have chosen another provider before; that one is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder().redirect(Policy::none()).timeout(ANSWER_WITHIN).build();
        Ok(Self { http: http.map_err(|_| AlarmWebhookError::Client)?, url })
    }

    pub(super) async fn post(&self, body: String) -> Posted {
        let request = self.http.post(self.url.clone()).header("content-type", "application/json").body(body);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Posted::Later(reason(&error), None),
        };
        let status = answer.status();
        if status.is_success() {
            return Posted::Taken;
        }
        if status.is_client_error() && ![StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status) {
            return Posted::Refused(status);
        }
        let asked = answer.headers().get(RETRY_AFTER).and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let pause = asked.map(|seconds| Duration::from_secs(seconds).min(PAUSE_MAX));
        Posted::Later(format!("status {}", status.as_u16()), pause)
    }
}

impl fmt::Debug for AlarmWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlarmWebhook").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_wherever_it_leads_and_never_printed() {
        for url in ["https://hooks.example/services/T/B/secret", "http://127.0.0.1:9/secret", "http://[::1]/secret"] {
            let webhook = AlarmWebhook::new(url).expect("a webhook");
            assert!(!format!("{webhook:?}").contains("secret"), "{webhook:?}");
        }
        for url in ["", "hooks.example", "ftp://hooks.example/secret", "file:///secret", "https://"] {
            let refusal = AlarmWebhook::new(url).expect_err(url);
            assert_eq!(refusal, AlarmWebhookError::Url);
        }
    }
}
