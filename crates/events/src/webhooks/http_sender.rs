use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::ports::WebhookSender;
use encore_domain::webhook::{EndpointUrl, WebhookAnswer, WebhookRequest, is_public};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use thiserror::Error;
use tokio::net::lookup_host;
use tracing::error;

use super::signature::signatures;

/// How long a request may take, its answer included.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long it may take to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection without a request is kept.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// How many such connections are kept for each endpoint.
const IDLE_PER_HOST: usize = 4;
/// How much of the body of an answer is read. It means nothing; a connection whose answer was read whole can be used again.
const ANSWER_BODY_MAX: usize = 16 << 10;
/// Who sends.
const USER_AGENT: &str = concat!("encore/", env!("CARGO_PKG_VERSION"));

/// Where webhooks may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To addresses of the public internet, encrypted.
    Public,
    /// Anywhere: also to private and loopback addresses, and in plain text.
    Anywhere,
}

/// An address that nothing is sent to.
#[derive(Debug, Error)]
#[error("it has no public address")]
struct NotPublic;

/// [`WebhookSender`] over HTTP.
///
/// A name is resolved for each connection, and what is not public is left out before it is connected to: a name that leads elsewhere the
/// second time gains nothing. Redirects are not followed. Proxies that the environment names are not used, since they would connect to
/// where nobody has looked.
pub struct HttpWebhookSender {
    /// None if it could not be built, which a test excludes: then nothing is sent, and each delivery says so.
    http: Option<Client>,
    reach: Reach,
}

impl HttpWebhookSender {
    /// A sender that may go so far.
    pub fn new(reach: Reach) -> Self {
        // The process may have chosen another provider before; that one is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(USER_AGENT)
            .timeout(ANSWER_WITHIN)
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .dns_resolver(Arc::new(Resolver(reach)))
            .build();
        let http = http.inspect_err(|error| error!(%error, "webhooks cannot be sent")).ok();
        Self { http, reach }
    }
}

#[async_trait]
impl WebhookSender for HttpWebhookSender {
    fn refuses(&self, url: &EndpointUrl) -> Option<&'static str> {
        if self.reach == Reach::Anywhere {
            None
        } else if !url.is_encrypted() {
            Some("must begin with https")
        } else if !url.may_be_public() {
            Some("must not be a private, loopback or otherwise special address")
        } else {
            None
        }
    }

    async fn send(&self, request: &WebhookRequest) -> WebhookAnswer {
        let WebhookRequest { url, id, at, secrets, body } = request;
        // An address in the URL is not resolved. The reach may have been another when the endpoint was added.
        if let Some(rule) = self.refuses(url) {
            return WebhookAnswer::none(&format!("its URL {rule}"));
        }
        let Some(http) = &self.http else { return WebhookAnswer::none("no request can be made") };
        let seconds = at.timestamp();
        let sending = http.post(url.as_str()).body(body.clone());
        let sending = sending
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signatures(secrets, id, seconds, body));
        match sending.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                read_to_reuse(answer).await;
                WebhookAnswer::Status(status)
            }
            Err(error) => WebhookAnswer::none(&reason(&error)),
        }
    }
}

/// Reads the body of an answer, unless it is long.
async fn read_to_reuse(mut answer: Response) {
    let mut left = ANSWER_BODY_MAX;
    while let Ok(Some(chunk)) = answer.chunk().await {
        let Some(rest) = left.checked_sub(chunk.len()) else { break };
        left = rest;
    }
}

/// Why there was no answer: the last cause. Errors of the client name the URL, whose path may have a secret.
pub(crate) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    if std::ptr::addr_eq(cause, std::ptr::from_ref(error)) {
        "it could not be sent".to_owned()
    } else {
        cause.to_string()
    }
}

/// Resolves names to addresses that may be reached.
struct Resolver(Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            // The port of the URL replaces this one.
            let found = lookup_host((name.as_str(), 0)).await?;
            Ok(reachable(reach, found)?)
        })
    }
}

fn reachable(reach: Reach, found: impl Iterator<Item = SocketAddr>) -> Result<Addrs, NotPublic> {
    let is_allowed = |address: &SocketAddr| reach == Reach::Anywhere || is_public(unmapped(address.ip()));
    let allowed: Vec<SocketAddr> = found.filter(is_allowed).collect();
    if allowed.is_empty() { Err(NotPublic) } else { Ok(Box::new(allowed.into_iter())) }
}

/// Resolvers of some systems give addresses of IPv4 inside those of IPv6, and the system connects to the former.
fn unmapped(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_can_be_built() {
        assert!(HttpWebhookSender::new(Reach::Public).http.is_some());
    }

    #[test]
    fn of_a_name_only_public_addresses_are_left() {
        let found = ["127.0.0.1:0", "93.184.215.14:0", "[::1]:0", "[::ffff:10.0.0.1]:0", "[2606:4700::1]:0"];
        let found = found.map(|it| it.parse::<SocketAddr>().expect("an address"));
        let of = |reach, addresses: &[SocketAddr]| match reachable(reach, addresses.iter().copied()) {
            Ok(left) => left.collect::<Vec<_>>(),
            Err(NotPublic) => vec![],
        };
        assert_eq!(of(Reach::Public, &found), [found[1], found[4]]);
        assert_eq!(of(Reach::Public, &found[..1]), []);
        assert_eq!(of(Reach::Anywhere, &found), found);
    }
}
