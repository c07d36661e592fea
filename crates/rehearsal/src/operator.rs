//! What an operator does before a rehearsal: a venue, a performance, a queue, fans.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use encore_proto::admin::v1::admin_service_client::AdminServiceClient;
use encore_proto::admin::v1::{
    CreateConcertRequest, CreatePerformanceRequest, GetQueueRequest, ImportVenueRequest, PromiseReport, QueueRate,
    QueueSettings, UpdateQueueRequest, VerifyPerformanceRequest,
};
use encore_proto::catalog::v1::GradePrice;
use encore_proto::common::v1::Money;
use encore_proto::identity::v1::LogInRequest;
use encore_proto::identity::v1::identity_service_client::IdentityServiceClient;
use encore_proto::rehearsal::v1::AddRehearsalFansRequest;
use encore_proto::rehearsal::v1::rehearsal_service_client::RehearsalServiceClient;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::client::{CURRENCY, Caller, MESSAGE_MAX_BYTES, PATIENCE};
use crate::venue::{GRADE, Venue};

/// What each seat costs, in minor units.
pub const PRICE_MINOR: i64 = 5_000;
/// How many fans a server makes in one call.
const FANS_PER_CALL: u64 = 5_000;
/// How long a performance stays on sale when the rehearsal is over and the last hold has expired.
const ON_SALE_BEYOND: Duration = Duration::from_mins(1);
/// How long the auditor may take: longer than a server takes for any answer.
const VERIFY_PATIENCE: Duration = Duration::from_secs(30);

/// Who logs in as the operator.
#[derive(Clone)]
pub struct OperatorLogin {
    /// An operator's address.
    pub email: String,
    /// Their password.
    pub password: String,
}

impl std::fmt::Debug for OperatorLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorLogin").field("email", &self.email).finish_non_exhaustive()
    }
}

/// How a performance is sold.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How many seats one fan may have.
    pub seats_per_fan: u32,
    /// How long a hold lives.
    pub hold_for: Duration,
    /// Its queue, if any.
    pub queue: Option<QueueTerms>,
}

/// How a queue admits.
#[derive(Clone, Copy, Debug)]
pub struct QueueTerms {
    /// Admissions a second.
    pub per_second: u32,
    /// The most that are admitted at once after a quiet time.
    pub batch: u32,
    /// The most that are inside at once.
    pub max_active: u32,
    /// Whether nobody is admitted.
    pub paused: bool,
    /// How long who waits may be away; none: as long as the server lets by default.
    pub grace: Option<Duration>,
}

/// How long an admission is good: a rehearsal is short, and who vanished inside keeps others from the last seats until then.
const ACTIVE_DURATION: prost_types::Duration = prost_types::Duration { seconds: 20, nanos: 0 };

impl QueueTerms {
    fn settings(self) -> QueueSettings {
        let period = prost_types::Duration { seconds: 1, nanos: 0 };
        QueueSettings {
            rate: Some(QueueRate { admissions: self.per_second, period: Some(period) }),
            batch: Some(self.batch),
            max_active: Some(self.max_active),
            paused: Some(self.paused),
            active_duration: Some(ACTIVE_DURATION),
            grace: self.grace.and_then(|grace| prost_types::Duration::try_from(grace).ok()),
            ..QueueSettings::default()
        }
    }
}

/// What ends a rehearsal.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// How long it lasts at most, with everything.
    pub lasts: Duration,
    /// When load ends, so that the auditor has time before the rehearsal is over.
    pub load_ends_at: Instant,
    /// When everything is over.
    pub over_at: Instant,
    /// Ends the load earlier.
    pub stop: CancellationToken,
}

/// The auditor has this part of the time, one of so many.
const AUDIT_PART: u32 = 5;
/// And no more than this.
const AUDIT_MAX: Duration = Duration::from_mins(1);

impl Bounds {
    /// Bounds that hold from now on: `stop` is cancelled when all load must end.
    pub fn begin(lasts: Duration) -> Self {
        Self::reserving((lasts / AUDIT_PART).min(AUDIT_MAX), lasts)
    }

    /// The same where nothing is audited after the load.
    pub fn without_audit(lasts: Duration) -> Self {
        Self::reserving(Duration::ZERO, lasts)
    }

    fn reserving(reserved: Duration, lasts: Duration) -> Self {
        let (stop, over_at) = (CancellationToken::new(), Instant::now() + lasts);
        let load_ends_at = over_at - reserved;
        let over = stop.clone();
        tokio::spawn(async move {
            sleep_until(load_ends_at).await;
            over.cancel();
        });
        Self { lasts, load_ends_at, over_at, stop }
    }

    /// For how long a performance is on sale, counted from when it is put on sale: nothing of it is left to sell when a
    /// rehearsal on servers that go on is over.
    fn on_sale_for(&self, hold_for: Duration) -> Duration {
        self.lasts + hold_for + ON_SALE_BEYOND
    }

    /// A step of the preparations; it is given up when the rehearsal ends.
    async fn within<T>(&self, step: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Status::cancelled("the rehearsal was ended")),
            done = step => done,
        }
    }
}

/// Somebody who may run sales.
#[derive(Clone, Debug)]
pub struct Operator {
    caller: Caller,
    bounds: Bounds,
}

impl Operator {
    /// Logs in, for a rehearsal with these bounds.
    pub async fn log_in(channel: Channel, login: &OperatorLogin, bounds: Bounds) -> Result<Self, Status> {
        let mut request = Request::new(LogInRequest {
            email: login.email.clone(),
            password: login.password.clone(),
            ..LogInRequest::default()
        });
        request.set_timeout(PATIENCE);
        let logged_in = IdentityServiceClient::new(channel.clone()).log_in(request).await?.into_inner();
        Ok(Self { caller: Caller::new(channel, &logged_in.access_token)?, bounds })
    }

    /// The same operator, over another connection.
    pub(crate) fn over(&self, channel: Channel) -> Self {
        Self { caller: self.caller.over(channel), bounds: self.bounds.clone() }
    }

    fn client(&self) -> AdminServiceClient<Channel> {
        let client = AdminServiceClient::new(self.caller.channel.clone());
        client.max_encoding_message_size(MESSAGE_MAX_BYTES).max_decoding_message_size(MESSAGE_MAX_BYTES)
    }

    /// Puts dates of a new concert in a new venue on sale. Answers the ids of the performances. It is given up when the
    /// rehearsal ends.
    pub async fn put_on_sale(&self, venue: Venue, terms: &Terms, dates: u64) -> Result<Vec<String>, Status> {
        self.open_sale(venue, terms).await?.dates(dates).await
    }

    /// Puts one date with a queue on sale that opens after this time. Answers its id.
    pub(crate) async fn put_on_sale_later(&self, venue: Venue, opens_in: Duration) -> Result<String, Status> {
        let queue = QueueTerms { per_second: 1, batch: 1, max_active: 1, paused: false, grace: None };
        let terms = Terms { seats_per_fan: 1, hold_for: Duration::from_mins(1), queue: Some(queue) };
        let mut sale = self.open_sale(venue, &terms).await?;
        let opens_at = now() + opens_in;
        sale.date.on_sale_opens_at = timestamp(opens_at);
        sale.date.on_sale_closes_at = timestamp(opens_at + ON_SALE_BEYOND);
        sale.date.starts_at = timestamp(opens_at + ON_SALE_BEYOND);
        sale.date().await
    }

    /// A new concert in a new venue, of which dates can be put on sale. It is given up when the rehearsal ends.
    pub async fn open_sale(&self, venue: Venue, terms: &Terms) -> Result<Sale, Status> {
        self.bounds.within(self.open(venue, terms)).await
    }

    async fn open(&self, venue: Venue, terms: &Terms) -> Result<Sale, Status> {
        let plan = ImportVenueRequest { plan_json: venue.plan_json(), ..Default::default() };
        let venue = self.client().import_venue(self.caller.request(plan)).await?.into_inner().venue;
        let concert = CreateConcertRequest {
            title: "Rehearsal".to_owned(),
            artist: "Simulated load".to_owned(),
            ..Default::default()
        };
        let concert = self.client().create_concert(self.caller.request(concert)).await?.into_inner().concert;
        let (Some(venue), Some(concert)) = (venue, concert) else {
            return Err(Status::data_loss("a venue or concert is missing in the answer"));
        };
        let now = now();
        let closes_at = now + self.bounds.on_sale_for(terms.hold_for);
        let price = Money { amount_minor: PRICE_MINOR, currency_code: CURRENCY.to_owned() };
        let date = CreatePerformanceRequest {
            concert_id: concert.concert_id,
            venue_id: venue.venue_id,
            starts_at: timestamp(closes_at),
            on_sale_opens_at: timestamp(now.saturating_sub(Duration::from_mins(1))),
            on_sale_closes_at: timestamp(closes_at),
            prices: vec![GradePrice { grade: GRADE.to_owned(), price: Some(price) }],
            seats_per_fan: terms.seats_per_fan,
            hold_duration: prost_types::Duration::try_from(terms.hold_for).ok(),
            queue: terms.queue.map(QueueTerms::settings),
            // Ceilings are for live sales.
            override_ceiling: true,
            ..Default::default()
        };
        Ok(Sale { operator: self.clone(), date, performances: Arc::default() })
    }

    /// Changes how a queue admits.
    pub async fn update_queue(&self, performance: &str, queue: QueueTerms) -> Result<(), Status> {
        let message = UpdateQueueRequest {
            performance_id: performance.to_owned(),
            settings: Some(queue.settings()),
            override_ceiling: true,
            ..Default::default()
        };
        self.client().update_queue(self.caller.request(message)).await?;
        Ok(())
    }

    /// How long the instance took last to admit and to read a queue; none if it did not lately.
    pub(crate) async fn tick(&self, performance: &str) -> Result<Option<Duration>, Status> {
        let message = GetQueueRequest { performance_id: performance.to_owned() };
        let line = self.client().get_queue(self.caller.request(message)).await?.into_inner().queue;
        Ok(line.and_then(|line| line.tick).and_then(|tick| tick.try_into().ok()))
    }

    /// Asks the auditor about a performance.
    pub(crate) async fn verify(&self, performance: &str) -> Result<Vec<PromiseReport>, Status> {
        let message = VerifyPerformanceRequest { performance_id: performance.to_owned() };
        let mut request = self.caller.request(message);
        request.set_timeout(VERIFY_PATIENCE);
        Ok(self.client().verify_performance(request).await?.into_inner().promises)
    }

    /// Makes fans. Answers their access tokens. It is given up when the rehearsal ends.
    pub async fn fans(&self, count: u64) -> Result<Vec<String>, Status> {
        self.bounds.within(self.make_fans(count)).await
    }

    async fn make_fans(&self, count: u64) -> Result<Vec<String>, Status> {
        let mut tokens = Vec::new();
        let client = RehearsalServiceClient::new(self.caller.channel.clone());
        let mut client = client.max_decoding_message_size(MESSAGE_MAX_BYTES);
        let mut missing = count;
        while missing > 0 {
            let some = u32::try_from(missing.min(FANS_PER_CALL)).unwrap_or(u32::MAX);
            let request = self.caller.request(AddRehearsalFansRequest { count: some });
            let fans = client.add_rehearsal_fans(request).await?.into_inner().fans;
            if fans.is_empty() {
                return Err(Status::data_loss("no fans were made"));
            }
            missing = missing.saturating_sub(u64::try_from(fans.len()).unwrap_or(u64::MAX));
            tokens.extend(fans.into_iter().map(|fan| fan.access_token));
        }
        Ok(tokens)
    }
}

/// A concert whose dates are put on sale one by one. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Sale {
    operator: Operator,
    date: CreatePerformanceRequest,
    performances: Arc<Mutex<Vec<String>>>,
}

impl Sale {
    /// Puts another date on sale. Answers the id of the performance. It is given up when the rehearsal ends.
    pub async fn date(&self) -> Result<String, Status> {
        let operator = &self.operator;
        let mut client = operator.client();
        let creating = client.create_performance(operator.caller.request(self.date.clone()));
        let created = operator.bounds.within(creating).await?.into_inner().performance;
        let performance =
            created.ok_or_else(|| Status::data_loss("the performance is missing in the answer"))?.performance_id;
        self.performances.lock().unwrap_or_else(PoisonError::into_inner).push(performance.clone());
        Ok(performance)
    }

    /// Puts so many further dates on sale.
    pub async fn dates(&self, count: u64) -> Result<Vec<String>, Status> {
        let mut performances = Vec::new();
        for _ in 0..count {
            performances.push(self.date().await?);
        }
        Ok(performances)
    }

    /// All that were put on sale so far.
    pub fn performances(&self) -> Vec<String> {
        self.performances.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Time since 1970, on the client's clock.
#[expect(clippy::disallowed_methods, reason = "a client has no clock port")]
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn timestamp(since_1970: Duration) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: i64::try_from(since_1970.as_secs()).ok()?, nanos: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_sale_closes_soon_after_the_rehearsal() {
        assert_eq!(Bounds::begin(MINUTE).on_sale_for(Duration::from_secs(10)), Duration::from_secs(60 + 10 + 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_takes_for_ever_ends_with_the_rehearsal() {
        let (bounds, begun) = (Bounds::begin(MINUTE), Instant::now());
        let step = bounds.within(std::future::pending::<Result<(), Status>>());
        assert_eq!(step.await.map_err(|status| status.code()), Err(tonic::Code::Cancelled));
        assert_eq!(begun.elapsed(), Duration::from_secs(48), "the auditor has the rest of the minute");
    }
}
