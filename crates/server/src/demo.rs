//! The demo catalogue of `cargo run`: one venue, three concerts, five performances, and an operator if there is a password for
//! one. The ids are fixed, so that commands can be copied from the README.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::TimeDelta;
use encore_app::error::AppError;
use encore_app::identity::{IdentityUseCases, SignUp};
use encore_domain::audit_log::StaffAct;
use encore_domain::catalog::location::{City, Country, Location, TimeZone};
use encore_domain::catalog::performance_change::Amendments;
use encore_domain::catalog::{
    Concert, HOLD_DEFAULT, OnSaleWindow, Performance, PriceList, SEATS_PER_FAN_DEFAULT, Title, Venue,
};
use encore_domain::identity::{Caller, DisplayName, Email, Password, Role};
use encore_domain::ids::{AuditEntryId, ConcertId, PerformanceId, RequestId, UserId, VenueId};
use encore_domain::money::Currency;
use encore_domain::ports::Catalog;
use encore_domain::queue::{Queue, QueueSettings};
use encore_domain::request::{DIGEST_LEN, Fingerprint, RequestKey};
use encore_domain::time::Timestamp;
use uuid::Uuid;

/// The seating plan of the demo venue, in the format of `ImportVenue`. `cargo xtask demo-venue` writes it.
pub const VENUE_JSON: &str = include_str!("../demo/venue.json");
/// The e-mail address of the demo's operator.
pub const OPERATOR_EMAIL: &str = "operator@encore.test";
/// The password of the demo's operator where nothing lasts. Everybody knows it.
pub const OPERATOR_PASSWORD: &str = "demo-operator";
/// A performance that is on sale now and has a queue.
pub const PERFORMANCE_WITH_QUEUE: PerformanceId = PerformanceId(id(0x31));

const VENUE: VenueId = VenueId(id(0x11));
const DAY: TimeDelta = TimeDelta::days(1);
/// The price of the first grade, and by how much each further grade is cheaper, in cents.
const FIRST_PRICE_MINOR: i64 = 12_000;
const PRICE_STEP_MINOR: i64 = 2_500;

const fn id(n: u128) -> Uuid {
    Uuid::from_u128(0x00de_6000_0000_7000_8000_0000_0000_0000 + n)
}

struct DemoConcert {
    id: u128,
    title: &'static str,
    artist: &'static str,
    dates: &'static [DemoDate],
}

struct DemoDate {
    id: u128,
    starts_in_days: i32,
    opens_in_days: i32,
    has_queue: bool,
}

const CONCERTS: [DemoConcert; 3] = [
    DemoConcert {
        id: 0x21,
        title: "Northern Lights",
        artist: "The Paper Lanterns",
        dates: &[
            DemoDate { id: 0x31, starts_in_days: 30, opens_in_days: -1, has_queue: true },
            DemoDate { id: 0x32, starts_in_days: 31, opens_in_days: -1, has_queue: true },
        ],
    },
    DemoConcert {
        id: 0x22,
        title: "An Evening of Strings",
        artist: "Halden Quartet",
        dates: &[
            DemoDate { id: 0x33, starts_in_days: 45, opens_in_days: -1, has_queue: false },
            DemoDate { id: 0x34, starts_in_days: 46, opens_in_days: -1, has_queue: false },
        ],
    },
    DemoConcert {
        id: 0x23,
        title: "Farewell",
        artist: "Marguerite Vale",
        dates: &[DemoDate { id: 0x35, starts_in_days: 90, opens_in_days: 7, has_queue: true }],
    },
];

/// Adds the demo catalogue. Idempotent, also when several instances call it at the same time.
pub async fn seed(
    catalog: &dyn Catalog,
    identity: &IdentityUseCases,
    operator_password: Option<&Password>,
    now: Timestamp,
) -> Result<(), AppError> {
    let plan = encore_seating_plan::read(VENUE_JSON)
        .map_err(|violations| AppError::Internal(format!("the demo venue is invalid: {violations:?}")))?;
    let venue = Venue { id: VENUE, name: plan.name, location: Some(location()?), chart: plan.chart, created_at: now };
    let grades = venue.chart.grades().len();
    catalog.add_venue(venue, Some(once(VENUE.0, now))).await?;
    for concert in &CONCERTS {
        let concert_id = ConcertId(id(concert.id));
        let title = |text| Title::parse(text).map_err(|rule| AppError::Internal(rule.to_string()));
        let (title, artist) = (title(concert.title)?, title(concert.artist)?);
        let added = Concert { id: concert_id, title, artist, created_at: now };
        catalog.add_concert(added, Some(once(concert_id.0, now))).await?;
        for date in concert.dates {
            let performance = performance(concert_id, date, grades, now)?;
            let queue = date.has_queue.then(|| Queue { settings: queue_settings(), draw: None });
            let act = once(performance.id.0, now);
            catalog.add_performance(performance, queue, Some(act)).await?;
        }
    }
    let Some(password) = operator_password else { return Ok(()) };
    match identity.create(operator(password.clone())?, None, None).await {
        Ok(_) | Err(AppError::EmailTaken) => Ok(()),
        Err(error) => Err(error),
    }
}

fn location() -> Result<Location, AppError> {
    let internal = |rule: &dyn std::fmt::Display| AppError::Internal(rule.to_string());
    Ok(Location {
        city: City::parse("Berlin").map_err(|rule| internal(&rule))?,
        country: Country::parse("DE").map_err(|rule| internal(&rule))?,
        time_zone: TimeZone::parse("Europe/Berlin").map_err(|rule| internal(&rule))?,
    })
}

fn performance(concert: ConcertId, date: &DemoDate, grades: usize, now: Timestamp) -> Result<Performance, AppError> {
    let starts_at = now + DAY * date.starts_in_days;
    let currency = Currency::parse("EUR").map_err(|rule| AppError::Internal(rule.to_string()))?;
    let prices =
        std::iter::successors(Some(FIRST_PRICE_MINOR), |price| Some((price - PRICE_STEP_MINOR).max(PRICE_STEP_MINOR)));
    Ok(Performance {
        id: PerformanceId(id(date.id)),
        concert,
        venue: VENUE,
        starts_at,
        on_sale: OnSaleWindow { opens_at: now + DAY * date.opens_in_days, closes_at: starts_at },
        prices: PriceList { currency, minor_by_grade: prices.take(grades).map(Some).collect() },
        seats_per_fan: SEATS_PER_FAN_DEFAULT,
        hold_for: HOLD_DEFAULT,
        has_queue: date.has_queue,
        amended: Amendments::default(),
    })
}

/// The default settings with a longer accept window: a person with a shell takes longer to accept a call than an app.
fn queue_settings() -> QueueSettings {
    QueueSettings { accept_window: Duration::from_mins(2), ..QueueSettings::default() }
}

fn operator(password: Password) -> Result<SignUp, AppError> {
    let internal = |rule: &dyn std::fmt::Display| AppError::Internal(rule.to_string());
    Ok(SignUp {
        email: Email::parse(OPERATOR_EMAIL).map_err(|rule| internal(&rule))?,
        password,
        display_name: DisplayName::parse("Demo operator").map_err(|rule| internal(&rule))?,
        role: Role::Operator,
        is_vouched_for: true,
    })
}

/// The act by which an item of the catalogue is added. Its request makes a repeated seed idempotent. The audit log names the nil UUID,
/// which is no user's.
fn once(id: Uuid, at: Timestamp) -> StaffAct {
    let user = UserId(Uuid::nil());
    let fingerprint = Fingerprint::new([0; DIGEST_LEN], [0; DIGEST_LEN]);
    let request = Some(RequestKey { user, id: RequestId(id), fingerprint });
    let by = Caller { user, role: Role::Operator };
    StaffAct { id: AuditEntryId(id), by, rpc: "demo", request, reason: None, at }
}

/// Example commands to print after the start.
pub fn example_commands(address: SocketAddr) -> String {
    format!(
        r#"
Encore is listening on {address}. Try these commands in another shell:

  grpcurl -plaintext {address} list
  grpcurl -plaintext {address} encore.catalog.v1.CatalogService/ListConcerts
  grpcurl -plaintext -d '{{"email":"fan@example.com","password":"correct horse","display_name":"Fan"}}' \
    {address} encore.identity.v1.IdentityService/SignUp
  export TOKEN=$(grpcurl -plaintext -d '{{"email":"fan@example.com","password":"correct horse"}}' \
    {address} encore.identity.v1.IdentityService/LogIn | sed -n 's/.*"accessToken": "\([^"]*\)".*/\1/p')
  export QUEUE=$(grpcurl -plaintext -H "authorization: Bearer $TOKEN" -d '{{"performance_id":"{PERFORMANCE_WITH_QUEUE}"}}' \
    {address} encore.queue.v1.QueueService/JoinQueue | sed -n 's/.*"queueToken": "\([^"]*\)".*/\1/p')
  grpcurl -plaintext -max-time 5 -H "authorization: Bearer $TOKEN" -d "{{\"queue_token\":\"$QUEUE\"}}" \
    {address} encore.queue.v1.QueueService/WatchPosition
  grpcurl -plaintext -H "authorization: Bearer $TOKEN" -H "queue-token: $QUEUE" \
    -d '{{"performance_id":"{PERFORMANCE_WITH_QUEUE}","free_only":true,"page_size":4}}' \
    {address} encore.catalog.v1.CatalogService/ListSeats

The README continues from here to a paid seat.
"#
    )
}
