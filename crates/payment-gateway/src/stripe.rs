//! Cards through Stripe: `PaymentIntents` that are captured apart.
//!
//! # How an attempt is found
//!
//! Stripe finds objects by our key in two ways. A *search* by metadata lags behind by a minute, in outages by an hour. An *idempotency
//! key* is known at once, and forgotten after a day. So an attempt is authorized in two calls: one creates the `PaymentIntent`, with the
//! attempt as idempotency key and in the metadata, and asks nothing of the card; one confirms it. Within a day an attempt is looked up
//! by repeating the first call: it answers with the same `PaymentIntent`, or makes one that was never confirmed, which is the same as
//! none. After a day the search is used, and by then it knows. What it finds is read again by its id, since a search also answers with
//! states that are past.
//!
//! The price is one more call per attempt. In return nobody is ever told that an attempt did not arrive because an index lags.
//!
//! # Saved failures
//!
//! Stripe saves the answer for an idempotency key even if it is a failure, and answers the same for a day. Confirming, capturing and
//! cancelling are guarded by the state of the `PaymentIntent`, so they are repeated without the key after a saved failure. Creating is
//! not: an attempt whose creation failed is never confirmed.

mod amount;
mod client;
mod objects;
pub mod webhooks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::{AttemptId, PaymentId, RefundId};
use encore_domain::money::Money;
use encore_domain::payment::gateway::{Charge, ChargeStatus, DisputeStatus, FailureReason, GatewayView, RefundStatus};
use encore_domain::ports::{Clock, PaymentGateway};
use moka::sync::Cache;
use reqwest::Url;
use thiserror::Error;
use tracing::error;
use uuid::Uuid;

use self::amount::at_stripe;
use self::client::{Answer, CallError, StripeClient};
pub use self::client::{NotASecretKey, SecretKey};
use self::objects::{Dispute, Intent, List, Refund};

/// Where Stripe is.
pub const STRIPE_URL: &str = "https://api.stripe.com";
/// How long a call takes at most. The saga waits for an operation a little longer.
pub const STRIPE_CALL_WITHIN: Duration = Duration::from_secs(6);

/// How long Stripe keeps an idempotency key at least, less an hour for clocks and calls under way.
const KEYS_KEPT_FOR: Duration = Duration::from_hours(23);
/// The most attempts whose `PaymentIntent` is known by heart. Others are looked up.
const KNOWN_MAX: u64 = 100_000;
/// The most refunds of one charge that are read: a page. A reservation has a few seats, and each is refunded once.
const REFUNDS_MAX: &str = "100";
/// The metadata of Encore's objects at Stripe.
const ATTEMPT: &str = "encore_attempt";
const PAYMENT: &str = "encore_payment";
const REFUND: &str = "encore_refund";
/// What Stripe says of an amount that it will never take.
const NEVER_CAPTURED: [&str; 3] =
    ["charge_expired_for_capture", "capture_charge_authorization_expired", "capture_unauthorized_payment"];

/// How to reach Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeConfig {
    /// The account.
    pub secret_key: SecretKey,
    /// The API, without `/v1`. Not encrypted only on the loopback.
    pub url: String,
    /// Where the fan's browser goes after 3-D Secure: a page of the client, or a link into its app.
    pub return_url: String,
    /// How long a call may take. An operation is a few calls.
    pub call_within: Duration,
}

/// Why Stripe cannot be used.
#[derive(Debug, Error)]
pub enum StripeConfigError {
    /// The API must be reached by HTTPS.
    #[error("the URL of Stripe must begin with https://, or with http:// and a loopback address, and have no query")]
    Url,
    /// The page to return to.
    #[error("the return URL must be an absolute URL")]
    ReturnUrl,
    /// No HTTP client.
    #[error("the HTTP client cannot be built")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// [`PaymentGateway`] at Stripe.
pub struct StripeGateway {
    client: StripeClient,
    return_url: String,
    clock: Arc<dyn Clock>,
    /// The `PaymentIntents` of attempts.
    known: Cache<AttemptId, Arc<str>>,
}

impl fmt::Debug for StripeGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeGateway").finish_non_exhaustive()
    }
}

impl StripeConfig {
    /// Checks the URLs.
    pub fn check(&self) -> Result<(), StripeConfigError> {
        self.api().ok_or(StripeConfigError::Url)?;
        Url::parse(&self.return_url).map(|_| ()).map_err(|_| StripeConfigError::ReturnUrl)
    }

    fn api(&self) -> Option<Url> {
        let url = Url::parse(&self.url).ok()?;
        let is_local = url.host_str().is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host));
        let fits = url.scheme() == "https" || url.scheme() == "http" && is_local;
        let is_plain = url.query().is_none() && url.fragment().is_none() && !url.cannot_be_a_base();
        (fits && is_plain && url.has_host() && url.username().is_empty()).then_some(url)
    }
}

impl StripeGateway {
    /// Uses this account.
    pub fn new(config: StripeConfig, clock: Arc<dyn Clock>) -> Result<Self, StripeConfigError> {
        config.check()?;
        let url = config.api().ok_or(StripeConfigError::Url)?;
        let client = StripeClient::new(url, config.secret_key, config.call_within)
            .map_err(|error| StripeConfigError::Client(error.into()))?;
        Ok(Self { client, return_url: config.return_url, clock, known: Cache::new(KNOWN_MAX) })
    }

    /// The `PaymentIntent` of an attempt as it is now; none if there is none any more that could be found. Creates one for an attempt
    /// that Stripe does not know, which asks nothing of the card.
    async fn intent(&self, charge: &Charge) -> Result<Option<Intent>, CallError> {
        if let Some(id) = self.known.get(&charge.attempt) {
            return self.read(&id).await.map(Some);
        }
        let found = if self.clock.now() < charge.begun_at + KEYS_KEPT_FOR {
            let Answer { body: created, is_saved } = self.create(charge).await?;
            if is_saved { self.read(&created.id).await? } else { created }
        } else {
            let query = format!("metadata['{ATTEMPT}']:'{}'", charge.attempt);
            let found: List<Intent> = self.client.get(&["payment_intents", "search"], &[("query", &query)]).await?;
            let Some(found) = found.data.first() else { return Ok(None) };
            self.read(&found.id).await?
        };
        self.known.insert(charge.attempt, found.id.as_str().into());
        Ok(Some(found))
    }

    async fn read(&self, intent: &str) -> Result<Intent, CallError> {
        self.client.get(&["payment_intents", intent], &[]).await
    }

    async fn create(&self, charge: &Charge) -> Result<Answer<Intent>, CallError> {
        let Some(amount) = at_stripe(charge.amount) else {
            error!(payment = %charge.payment, amount = ?charge.amount, "stripe cannot take this amount; declined");
            return Err(CallError::Declined(FailureReason::Declined));
        };
        let amount = amount.to_string();
        let currency = charge.amount.currency.code().to_ascii_lowercase();
        let (attempt, payment) = (charge.attempt.to_string(), charge.payment.to_string());
        let (of_attempt, of_payment) = (format!("metadata[{ATTEMPT}]"), format!("metadata[{PAYMENT}]"));
        let form = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("capture_method", "manual"),
            ("payment_method_types[]", "card"),
            ("payment_method", charge.method.as_str()),
            (&of_attempt, &attempt),
            (&of_payment, &payment),
        ];
        match self.client.post(&["payment_intents"], &form, Some(&format!("create/{attempt}"))).await {
            Err(CallError::Refused { why, .. }) => {
                let reason = why.reason();
                if reason == FailureReason::Declined {
                    error!(code = why.code, param = why.param, "stripe takes no such payment; declined");
                }
                Err(CallError::Declined(reason))
            }
            created => created,
        }
    }

    /// Makes a change that the state of the `PaymentIntent` guards. Returns the state after it, also if it was refused.
    async fn change(&self, intent: &str, operation: &str, charge: &Charge) -> Result<Changed, CallError> {
        let path = ["payment_intents", intent, operation];
        let form: &[(&str, &str)] = if operation == CONFIRM { &[("return_url", &self.return_url)] } else { &[] };
        let key = format!("{operation}/{}", charge.attempt);
        let mut changed = self.client.post::<Intent>(&path, form, Some(&key)).await;
        if matches!(changed, Err(CallError::Refused { is_saved: true, .. })) {
            changed = self.client.post(&path, form, None).await;
        }
        match changed {
            Ok(Answer { body, is_saved: false }) => Ok(Changed { intent: body, refusal: None }),
            // It says how things were after the first call.
            Ok(Answer { is_saved: true, .. }) => Ok(Changed { intent: self.read(intent).await?, refusal: None }),
            Err(CallError::Refused { why, .. }) => {
                Ok(Changed { intent: self.read(intent).await?, refusal: Some(why.code.unwrap_or_default()) })
            }
            Err(unknown) => Err(unknown),
        }
    }

    async fn refunds(&self, intent: &Intent) -> Result<Vec<Refund>, CallError> {
        let query = [("payment_intent", intent.id.as_str()), ("limit", REFUNDS_MAX)];
        Ok(self.client.get::<List<Refund>>(&["refunds"], &query).await?.data)
    }

    /// What is known of an attempt; none while nothing was asked of the card.
    async fn view(&self, intent: &Intent) -> Result<Option<GatewayView>, CallError> {
        let Some(charge) = intent.charge(&self.return_url) else { return Ok(None) };
        let refunds = if charge == ChargeStatus::Captured { self.refunds(intent).await? } else { Vec::new() };
        Ok(Some(GatewayView { charge, refunds: ours(&refunds) }))
    }

    async fn try_authorize(&self, charge: &Charge) -> Result<GatewayView, CallError> {
        let mut intent = self.required(charge).await?;
        if intent.may_confirm() {
            intent = self.change(&intent.id, CONFIRM, charge).await?.intent;
        }
        self.view(&intent).await?.ok_or_else(|| CallError::unknown("the card was not asked"))
    }

    async fn try_capture(&self, charge: &Charge) -> Result<GatewayView, CallError> {
        let intent = self.required(charge).await?;
        let Changed { intent, refusal } = self.change(&intent.id, CAPTURE, charge).await?;
        match refusal {
            Some(code) if intent.may_capture() && NEVER_CAPTURED.contains(&code.as_str()) => {
                Ok(GatewayView::of(ChargeStatus::CaptureRefused))
            }
            Some(code) if intent.may_capture() => Err(CallError::unknown(format!("the capture was refused: {code}"))),
            _ => self.known_view(&intent).await,
        }
    }

    async fn try_void(&self, charge: &Charge) -> Result<GatewayView, CallError> {
        let intent = self.required(charge).await?;
        let voided = self.change(&intent.id, CANCEL, charge).await?;
        self.known_view(&voided.intent).await
    }

    async fn try_refund(&self, charge: &Charge, refund: RefundId, amount: Money) -> Result<GatewayView, CallError> {
        let intent = self.required(charge).await?;
        let made = self.refunds(&intent).await?;
        let mut view = GatewayView { charge: ChargeStatus::Captured, refunds: ours(&made) };
        if view.refunds.iter().any(|(id, _)| *id == refund) {
            return Ok(view);
        }
        let status = match (at_stripe(amount), at_stripe(charge.amount)) {
            (Some(amount), Some(taken)) => self.make_refund(charge, &intent, refund, amount, taken, &made).await?,
            _ => RefundStatus::Failed,
        };
        view.refunds.push((refund, status));
        Ok(view)
    }

    /// Makes a refund. What somebody has given back in the dashboard is not given back again.
    async fn make_refund(
        &self,
        charge: &Charge,
        intent: &Intent,
        refund: RefundId,
        amount: i64,
        taken: i64,
        made: &[Refund],
    ) -> Result<RefundStatus, CallError> {
        let sum = |is_ours: bool| -> i64 {
            let of_these = made.iter().filter(|it| refund_id(it).is_some() == is_ours);
            of_these.filter(|it| it.status() != RefundStatus::Failed).map(|it| it.amount).sum()
        };
        if sum(true) + amount > taken {
            return Ok(RefundStatus::Failed);
        }
        if sum(false) >= amount && sum(true) + sum(false) + amount > taken {
            return Ok(RefundStatus::Succeeded);
        }
        let (amount, id, payment) = (amount.to_string(), refund.to_string(), charge.payment.to_string());
        let (of_refund, of_payment) = (format!("metadata[{REFUND}]"), format!("metadata[{PAYMENT}]"));
        let form =
            [("payment_intent", intent.id.as_str()), ("amount", &amount), (&of_refund, &id), (&of_payment, &payment)];
        match self.client.post::<Refund>(&["refunds"], &form, Some(&format!("refund/{id}"))).await {
            Ok(answer) => Ok(answer.body.status()),
            Err(CallError::Refused { .. }) => Ok(RefundStatus::Failed),
            Err(unknown) => Err(unknown),
        }
    }

    async fn try_look_up(&self, charge: &Charge) -> Result<Option<GatewayView>, CallError> {
        match self.intent(charge).await? {
            Some(intent) => self.view(&intent).await,
            None => Ok(None),
        }
    }

    async fn try_payment_of(&self, intent: &str) -> Result<Option<PaymentId>, CallError> {
        let intent = match self.read(intent).await {
            Err(CallError::Refused { .. }) => return Ok(None),
            read => read?,
        };
        Ok(intent.metadata.get(PAYMENT).and_then(|payment| payment.parse().ok()))
    }

    /// Stripe lists the newest first.
    async fn try_dispute(&self, charge: &Charge) -> Result<Option<DisputeStatus>, CallError> {
        let intent = self.required(charge).await?;
        let query = [("payment_intent", intent.id.as_str()), ("limit", "1")];
        let found: List<Dispute> = self.client.get(&["disputes"], &query).await?;
        Ok(found.data.first().map(Dispute::status))
    }

    /// The `PaymentIntent` of an attempt that Stripe must know.
    async fn required(&self, charge: &Charge) -> Result<Intent, CallError> {
        self.intent(charge).await?.ok_or_else(|| CallError::unknown("stripe does not know the attempt"))
    }

    async fn known_view(&self, intent: &Intent) -> Result<GatewayView, CallError> {
        self.view(intent).await?.ok_or_else(|| CallError::unknown("the card was not asked"))
    }
}

const CONFIRM: &str = "confirm";
const CAPTURE: &str = "capture";
const CANCEL: &str = "cancel";

/// A `PaymentIntent` after a change, and the code with which the change was refused, if it was.
struct Changed {
    intent: Intent,
    refusal: Option<String>,
}

/// The refunds that Encore made.
fn ours(refunds: &[Refund]) -> Vec<(RefundId, RefundStatus)> {
    let ours = refunds.iter().filter_map(|refund| Some((refund_id(refund)?, refund.status())));
    // Stripe lists the newest first.
    let mut ours: Vec<_> = ours.collect();
    ours.reverse();
    ours
}

fn refund_id(refund: &Refund) -> Option<RefundId> {
    Uuid::parse_str(refund.metadata.get(REFUND)?).ok().map(RefundId)
}

#[async_trait]
impl PaymentGateway for StripeGateway {
    fn captures_at_once(&self) -> bool {
        false
    }

    async fn authorize(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        match self.try_authorize(charge).await {
            Err(CallError::Declined(reason)) => Ok(GatewayView::of(ChargeStatus::Declined(reason))),
            authorized => authorized.map_err(CallError::into_unavailable),
        }
    }

    async fn capture(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.try_capture(charge).await.map_err(CallError::into_unavailable)
    }

    async fn void(&self, charge: &Charge) -> Result<GatewayView, Unavailable> {
        self.try_void(charge).await.map_err(CallError::into_unavailable)
    }

    async fn refund(&self, charge: &Charge, refund: RefundId, amount: Money) -> Result<GatewayView, Unavailable> {
        self.try_refund(charge, refund, amount).await.map_err(CallError::into_unavailable)
    }

    async fn look_up(&self, charge: &Charge) -> Result<Option<GatewayView>, Unavailable> {
        match self.try_look_up(charge).await {
            Err(CallError::Declined(reason)) => Ok(Some(GatewayView::of(ChargeStatus::Declined(reason)))),
            found => found.map_err(CallError::into_unavailable),
        }
    }

    async fn payment_of(&self, gateway_name: &str) -> Result<Option<PaymentId>, Unavailable> {
        self.try_payment_of(gateway_name).await.map_err(CallError::into_unavailable)
    }

    async fn dispute(&self, charge: &Charge) -> Result<Option<DisputeStatus>, Unavailable> {
        self.try_dispute(charge).await.map_err(CallError::into_unavailable)
    }
}
