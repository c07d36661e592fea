//! Rows of the endpoints of webhooks and of deliveries to them.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use encore_domain::event::OutboxPlace;
use encore_domain::ids::{EndpointId, PerformanceId, UserId};
use encore_domain::webhook::{
    DeliveredEvent, DeliveryState, Disabled, EndpointSecret, EndpointSecrets, EndpointUrl, HeldEndpoint, Replay,
    SealedSecret, WebhookAnswer, WebhookDelivery, WebhookEndpoint, WebhookFilter, WhyDisabled,
};
use uuid::Uuid;

use crate::error::corrupt;

/// An endpoint: all columns but those of who sends to it and how far that is.
#[derive(QueryableByName)]
pub struct EndpointRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    url: String,
    #[diesel(sql_type = Array<Text>)]
    kinds: Vec<String>,
    #[diesel(sql_type = Array<SqlUuid>)]
    performances: Vec<Uuid>,
    #[diesel(sql_type = SqlUuid)]
    secret_id: Uuid,
    #[diesel(sql_type = Binary)]
    secret: Vec<u8>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    previous_secret_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Binary>)]
    previous_secret: Option<Vec<u8>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    previous_secret_ends_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = SqlUuid)]
    operator_id: Uuid,
    #[diesel(sql_type = Timestamptz)]
    made_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    disabled_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    disabled_why: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    failing_since: Option<DateTime<Utc>>,
}

impl EndpointRow {
    pub fn read(self) -> QueryResult<WebhookEndpoint> {
        let secret = |id, sealed| EndpointSecret { id, sealed: SealedSecret(sealed) };
        let previous = self.previous_secret_id.zip(self.previous_secret).zip(self.previous_secret_ends_at);
        let disabled = self.disabled_at.zip(self.disabled_why).map(|(at, why)| {
            let why = WhyDisabled::parse(&why).ok_or_else(|| corrupt("reason of a disabled endpoint", &why))?;
            Ok::<_, diesel::result::Error>(Disabled { at, why })
        });
        Ok(WebhookEndpoint {
            id: EndpointId(self.id),
            url: EndpointUrl::parse(&self.url).map_err(|_| corrupt("URL of an endpoint", &self.id))?,
            filter: WebhookFilter {
                kinds: self.kinds,
                performances: self.performances.into_iter().map(PerformanceId).collect(),
            },
            secrets: EndpointSecrets {
                current: secret(self.secret_id, self.secret),
                previous: previous.map(|((id, sealed), ends_at)| (secret(id, sealed), ends_at)),
            },
            made_by: UserId(self.operator_id),
            made_at: self.made_at,
            disabled: disabled.transpose()?,
            failing_since: self.failing_since,
        })
    }
}

/// An endpoint that an instance sends to.
#[derive(QueryableByName)]
pub struct HeldRow {
    #[diesel(embed)]
    endpoint: EndpointRow,
    #[diesel(sql_type = BigInt)]
    window_number: i64,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    replay_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    replay_since: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<BigInt>)]
    replay_window: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    replay_sequence: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    replay_until_window: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    replay_until_sequence: Option<i64>,
    #[diesel(sql_type = BigInt)]
    waiting: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    due_at: Option<DateTime<Utc>>,
}

impl HeldRow {
    pub fn id(&self) -> EndpointId {
        EndpointId(self.endpoint.id)
    }

    pub fn read(self) -> QueryResult<HeldEndpoint> {
        let place = |window: Option<i64>, sequence: Option<i64>| {
            window.zip(sequence).map(|(window, sequence)| OutboxPlace { window, sequence })
        };
        let cursor = place(self.replay_window, self.replay_sequence);
        let until = place(self.replay_until_window, self.replay_until_sequence);
        let replay = self.replay_id.zip(self.replay_since).zip(cursor.zip(until));
        Ok(HeldEndpoint {
            endpoint: self.endpoint.read()?,
            cursor: OutboxPlace { window: self.window_number, sequence: self.sequence },
            replay: replay.map(|((id, since), (cursor, until))| Replay { id, since, cursor, until }),
            waiting: self.waiting.cast_unsigned(),
            due_at: self.due_at,
        })
    }
}

/// A delivery.
#[derive(QueryableByName)]
pub struct DeliveryRow {
    #[diesel(sql_type = SqlUuid)]
    endpoint_id: Uuid,
    #[diesel(sql_type = Text)]
    event_id: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = SqlUuid)]
    key: Uuid,
    #[diesel(sql_type = BigInt)]
    window_number: i64,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Integer)]
    tries: i32,
    #[diesel(sql_type = Timestamptz)]
    began_at: DateTime<Utc>,
    #[diesel(sql_type = Timestamptz)]
    tried_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    status: Option<i16>,
    #[diesel(sql_type = Nullable<Text>)]
    failure: Option<String>,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    next_try_at: Option<DateTime<Utc>>,
}

impl DeliveryRow {
    pub fn read(self) -> QueryResult<WebhookDelivery> {
        let state = match (self.state.as_str(), self.next_try_at) {
            ("delivered", None) => DeliveryState::Delivered,
            ("waiting", Some(next_try_at)) => DeliveryState::Waiting { next_try_at },
            ("given_up", None) => DeliveryState::GivenUp,
            (other, _) => return Err(corrupt("state of a delivery", other)),
        };
        let answer = match self.status {
            Some(status) => WebhookAnswer::Status(status.cast_unsigned()),
            None => WebhookAnswer::None(self.failure.unwrap_or_default()),
        };
        Ok(WebhookDelivery {
            endpoint: EndpointId(self.endpoint_id),
            event: DeliveredEvent {
                id: self.event_id,
                kind: self.kind,
                key: self.key,
                place: OutboxPlace { window: self.window_number, sequence: self.sequence },
            },
            tries: self.tries.cast_unsigned(),
            began_at: self.began_at,
            tried_at: self.tried_at,
            answer,
            state,
        })
    }
}

/// The name of a state, and when it is tried again.
pub fn state_columns(state: DeliveryState) -> (&'static str, Option<DateTime<Utc>>) {
    match state {
        DeliveryState::Delivered => ("delivered", None),
        DeliveryState::Waiting { next_try_at } => ("waiting", Some(next_try_at)),
        DeliveryState::GivenUp => ("given_up", None),
    }
}

/// The status of an answer, or why there is none.
pub fn answer_columns(answer: &WebhookAnswer) -> (Option<i16>, Option<&str>) {
    match answer {
        WebhookAnswer::Status(status) => (Some(status.cast_signed()), None),
        WebhookAnswer::None(reason) => (None, Some(reason)),
    }
}
