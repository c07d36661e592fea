//! Test values. Ids are unique in the process and sort in the order of their creation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use encore_domain::audit_log::StaffAct;
use encore_domain::booking::{Reservation, ReservationState, ReservedSeat};
use encore_domain::catalog::drawing::{Drawing, Outline, Point, Shape, ShapeText, Size};
use encore_domain::catalog::location::{City, Country, Location, TimeZone};
use encore_domain::catalog::performance_change::Amendments;
use encore_domain::catalog::seat_chart::{
    FocalPoints, Grade, PlannedArea, PlannedRow, PlannedSeat, PlannedSection, SeatChart, Slot,
};
use encore_domain::catalog::{Concert, OnSaleWindow, Performance, PriceList, SEATS_PER_FAN_MAX, Title, Venue};
use encore_domain::identity::contact::Contact;
use encore_domain::identity::{Account, Caller, DisplayName, Email, PasswordHash, Role, User};
use encore_domain::ids::{ConcertId, RequestId, ReservationId, UserId, VenueId};
use encore_domain::money::{Currency, Money};
use encore_domain::payment::{PaymentPlan, plan_wallet_payment};
use encore_domain::ports::LockTerms;
use encore_domain::queue::{
    DRAW_KEY_BYTES, DrawKey, Lane, LaneName, Lanes, Queue, QueueDraw, QueueMessage, QueueRate, QueueSettings,
};
use encore_domain::request::{DIGEST_LEN, Fingerprint, RequestKey};
use encore_domain::time::Timestamp;
use encore_domain::wallet::{Account as LedgerAccount, LedgerEntry, Transfer, TransferIds, TransferKind};
use uuid::Uuid;

mod events;

pub use self::events::{event_of_kind, one_event_of_each_kind};

/// The number of seats of [`small_chart`].
pub const SMALL_CHART_SEATS: usize = 26;
/// The number of seats of [`large_chart`].
pub const LARGE_CHART_SEATS: usize = 60_000;

/// The next identifier, of any type.
pub fn id<T: From<Uuid>>() -> T {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    T::from(Uuid::from_u64_pair(0xE0C0, NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A fan for a reservation: each reservation has its own.
pub fn fan_of(reservation: ReservationId) -> UserId {
    UserId(reservation.0)
}

/// Terms to lock seats for a reservation whose fan may have as many seats as any.
pub fn lock_terms(reservation: ReservationId, until: Timestamp) -> LockTerms {
    let user = fan_of(reservation);
    LockTerms { reservation, user, seats_per_fan: SEATS_PER_FAN_MAX, until, is_new: false }
}

/// The start time of the tests: 2026-06-01, 10:00 UTC.
pub fn start() -> Timestamp {
    Timestamp::from_timestamp_millis(1_780_308_000_000).expect("a timestamp in range")
}

/// A number of milliseconds after [`start`].
pub fn at_ms(ms: u64) -> Timestamp {
    start() + Duration::from_millis(ms)
}

/// A number of seconds after [`start`].
pub fn at_secs(secs: u64) -> Timestamp {
    start() + Duration::from_secs(secs)
}

/// One millisecond before a point in time.
pub fn just_before(moment: Timestamp) -> Timestamp {
    moment - Duration::from_millis(1)
}

const SENT: [u8; DIGEST_LEN] = [0x5A; DIGEST_LEN];
const UNDERSTOOD: [u8; DIGEST_LEN] = [0x5B; DIGEST_LEN];
const ALTERED: [u8; DIGEST_LEN] = [0xA5; DIGEST_LEN];

/// A new request of this user.
pub fn request(user: UserId) -> RequestKey {
    RequestKey { user, id: id::<RequestId>(), fingerprint: Fingerprint::new(SENT, UNDERSTOOD) }
}

/// The act of an operator with this request.
pub fn act(request: RequestKey) -> StaffAct {
    let by = Caller { user: request.user, role: Role::Operator };
    let reason = Some("because".to_owned());
    StaffAct { id: id(), by, rpc: "AdminService.Test", request: Some(request), reason, at: start() }
}

/// A new request without a logged-in user, as for a sign-up.
pub fn sign_up_request() -> RequestKey {
    request(UserId(Uuid::nil()))
}

/// The same request id with another body.
pub fn altered(request: RequestKey) -> RequestKey {
    RequestKey { fingerprint: Fingerprint::new(ALTERED, ALTERED), ..request }
}

/// The same body as an instance of another version understands it.
pub fn understood_otherwise(request: RequestKey) -> RequestKey {
    RequestKey { fingerprint: Fingerprint::new(SENT, ALTERED), ..request }
}

/// The same body in another encoding.
pub fn encoded_otherwise(request: RequestKey) -> RequestKey {
    RequestKey { fingerprint: Fingerprint::new(ALTERED, UNDERSTOOD), ..request }
}

/// A fan with an e-mail address of their own.
pub fn account() -> Account {
    let id: UserId = id();
    account_with_email(id, &format!("{}@example.com", id.0.simple()))
}

/// A fan with this e-mail address.
pub fn account_with_email(id: UserId, email: &str) -> Account {
    let user = User {
        id,
        email: Email::parse(email).expect("an e-mail address"),
        display_name: DisplayName::parse("Zoë 조").expect("a display name"),
        contact: Contact::default(),
        role: Role::Fan,
        created_at: start(),
        email_verified_at: None,
    };
    Account { user, password_hash: PasswordHash(format!("$argon2id$v=19$m=1,t=1,p=1$c2FsdA${}", id.0.simple())) }
}

/// An amount in euro cents.
pub fn euros(minor: i64) -> Money {
    money(minor, "EUR")
}

/// An amount in the currency of this code.
pub fn money(minor: i64, code: &str) -> Money {
    Money { minor, currency: Currency::parse(code).expect("a currency") }
}

/// A venue of 26 seats: two sections, rows of 8 (with an aisle in the middle), 5, 4 and 9 seats, two grades.
pub fn small_chart() -> SeatChart {
    SeatChart::lay_out(small_sections().into(), small_grades())
}

fn small_sections() -> [PlannedSection; 2] {
    let section = |name: &str, rows| PlannedSection { name: name.into(), rows, general_admission: None };
    let stalls = vec![with_aisle(row("S", "A", &[0; 8]), 4), row("S", "B", &[0, 0, 0, 1, 1])];
    let balcony = vec![row("C", "A", &[1; 4]), row("C", "B", &[1; 9])];
    [section("Stalls", stalls), section("Balcony", balcony)]
}

fn small_grades() -> Vec<Grade> {
    let grade = |name: &str, color: &str| Grade { name: name.into(), color: color.into() };
    vec![grade("Front", "#7f4a91"), grade("Rear", "")]
}

/// The number of units of the second general admission area of [`festival_chart`].
pub const PIT_UNITS: u32 = 12;

/// The small chart with two general admission areas: `Floor` with this many units of the grade `Rear`, and `Pit` of the
/// grade `Front`. Its seats have the same slots as in the small chart.
pub fn festival_chart(floor: u32) -> SeatChart {
    let [stalls, balcony] = small_sections();
    let general_admission = |name: &str, capacity, grade| PlannedSection {
        name: name.into(),
        rows: vec![],
        general_admission: Some(PlannedArea { capacity, grade }),
    };
    let sections = vec![general_admission("Floor", floor, 1), stalls, general_admission("Pit", PIT_UNITS, 0), balcony];
    SeatChart::lay_out(sections, small_grades())
}

/// The small chart with accessible seats: S-A-3 and S-A-4 beside the aisle, C-B-1, and C-B-5 and C-B-7 with one seat
/// between them.
pub fn accessible_chart() -> SeatChart {
    let chart = small_chart();
    let mut seats = chart.seats().to_vec();
    for seat in &mut seats {
        seat.accessible = ["S-A-3", "S-A-4", "C-B-1", "C-B-5", "C-B-7"].contains(&seat.id.as_str());
    }
    let (sections, rows, grades) = (chart.sections().to_vec(), chart.rows().to_vec(), chart.grades().to_vec());
    SeatChart::from_parts(sections, rows, grades, seats, vec![])
}

/// The small chart with a focal point of the plan and one of its balcony, and with a drawing of every kind of shape.
pub fn drawn_chart() -> SeatChart {
    let at = |x: f64, y: f64| Point { x, y };
    let shape = |outline| Shape {
        outline,
        position: at(10.5, -4.25),
        rotation: 30.0,
        color: "#eeeeee".into(),
        border_color: "black".into(),
        text: None,
        is_stage: false,
    };
    let text = ShapeText { text: "Bühne".into(), color: "#111111".into(), position: at(40.0, 10.0), size: Some(16.0) };
    let stage = Shape {
        text: Some(ShapeText { size: None, color: String::new(), ..text.clone() }),
        is_stage: true,
        ..shape(Outline::Rectangle(Size { width: 80.0, height: 20.0 }))
    };
    let label = Shape { text: Some(text), ..shape(Outline::Text) };
    let others =
        [Outline::Polygon(vec![at(0.0, 0.0), at(3.5, 4.0)]), Outline::Ellipse(at(5.0, 6.0)), Outline::Circle(7.0)];
    let shapes = [stage, label].into_iter().chain(others.map(shape)).collect();
    let focal_points = FocalPoints { plan: Some(at(50.5, -20.0)), sections: BTreeMap::from([(1, at(0.0, 99.5))]) };
    let drawing = Drawing { size: Some(Size { width: 800.0, height: 600.5 }), shapes };
    small_chart().with_focal_points(focal_points).with_drawing(drawing)
}

/// A stadium of 60,000 seats in 60 sections.
pub fn large_chart() -> SeatChart {
    let section = |section: usize| PlannedSection {
        name: format!("Block {section}"),
        rows: (0..20).map(|n| row(&section.to_string(), &n.to_string(), &[0; 50])).collect(),
        general_admission: None,
    };
    SeatChart::lay_out((0..60).map(section).collect(), vec![Grade { name: "All".into(), color: "#000000".into() }])
}

/// A venue of 8,000 seats of two grades: 8 sections of 20 rows of 50 seats, with the stage at their front rows.
pub fn arena_chart() -> SeatChart {
    let planned_row = |section: u32, n: u32| {
        let mut row = row(&format!("{section}"), &n.to_string(), &[u16::from(n >= 10); 50]);
        for seat in &mut row.seats {
            seat.x += f64::from(section) * 600.0;
            seat.y = f64::from(n) * 12.0;
        }
        row
    };
    let section = |section: u32| PlannedSection {
        name: format!("Block {section}"),
        rows: (0..20).map(|n| planned_row(section, n)).collect(),
        general_admission: None,
    };
    let grade = |name: &str| Grade { name: name.into(), color: String::new() };
    SeatChart::lay_out((0..8).map(section).collect(), vec![grade("Front"), grade("Rear")])
}

fn row(section: &str, label: &str, grades: &[u16]) -> PlannedRow {
    let seat = |(number, grade): (u32, &u16)| PlannedSeat {
        id: format!("{section}-{label}-{number}"),
        number: number.to_string(),
        grade: *grade,
        x: f64::from(number) * 10.5 + 0.1,
        y: -3.25,
        accessible: false,
    };
    PlannedRow { label: label.into(), seats: (1..).zip(grades).map(seat).collect() }
}

fn with_aisle(mut row: PlannedRow, after: usize) -> PlannedRow {
    for seat in &mut row.seats[after..] {
        seat.x += 21.0;
    }
    row
}

/// The slots of the seats of [`small_chart`] with these indices.
pub fn slots(seats: &[usize]) -> Vec<Slot> {
    let chart = small_chart();
    seats.iter().map(|seat| chart.seats()[*seat].slot).collect()
}

/// A venue with this chart.
pub fn venue(chart: SeatChart) -> Venue {
    let location = Some(location("Wien", "AT", "Europe/Vienna"));
    Venue { id: id(), name: title("Großes Haus"), location, chart, created_at: start() }
}

/// A location.
pub fn location(city: &str, country: &str, time_zone: &str) -> Location {
    Location {
        city: City::parse(city).expect("a city"),
        country: Country::parse(country).expect("a country"),
        time_zone: TimeZone::parse(time_zone).expect("a time zone"),
    }
}

/// A concert.
pub fn concert() -> Concert {
    Concert { id: id(), title: title("Winterreise"), artist: title("Ian Bostridge"), created_at: start() }
}

fn title(text: &str) -> Title {
    Title::parse(text).expect("a title")
}

/// A performance at a venue of two grades, on sale from [`start`] for a day, without a queue.
pub fn performance(concert: ConcertId, venue: VenueId) -> Performance {
    let day = Duration::from_hours(24);
    Performance {
        id: id(),
        concert,
        venue,
        starts_at: start() + day * 30,
        on_sale: OnSaleWindow { opens_at: start(), closes_at: start() + day },
        prices: PriceList { currency: euros(0).currency, minor_by_grade: vec![Some(12_000), Some(7_500)] },
        seats_per_fan: 6,
        hold_for: Duration::from_mins(7),
        has_queue: false,
        amended: Amendments::default(),
    }
}

/// Settings that admit a batch of 5 and then 10 fans a second, up to 100 active fans. Every setting differs from its
/// default and from the others.
pub fn queue_settings() -> QueueSettings {
    QueueSettings {
        rate: QueueRate { admissions: 10, period: Duration::from_secs(1) },
        batch: 5,
        max_active: 100,
        paused: false,
        draining: true,
        accept_window: Duration::from_secs(20),
        active_duration: Duration::from_mins(5),
        grace: Duration::from_secs(80),
        hold_tries: Some(12),
        message: message("Türen um 8 — 문이 열립니다"),
        lanes: lanes(&[("general", 2), ("fan-club", 3), ("press", 1)]),
    }
}

/// A message for waiting fans.
pub fn message(text: &str) -> Option<QueueMessage> {
    QueueMessage::parse(text).expect("a message")
}

/// Lanes by name and weight.
pub fn lanes(lanes: &[(&str, u32)]) -> Lanes {
    let lane =
        |(name, weight): &(&str, u32)| Lane::new(LaneName::parse(name).expect("a name"), *weight).expect("a weight");
    Lanes::new(lanes.iter().map(lane).collect()).expect("lanes")
}

/// A queue with these settings and no draw.
pub fn queue(settings: QueueSettings) -> Queue {
    Queue { settings, draw: None }
}

/// A queue whose pre-queue opens at this time.
pub fn pre_queue(pre_queue_opens_at: Timestamp) -> Queue {
    let mut key = [0xA5; DRAW_KEY_BYTES];
    key[0] = 0;
    Queue { settings: queue_settings(), draw: Some(QueueDraw { pre_queue_opens_at, key: DrawKey(key) }) }
}

/// A hold on the seats of [`small_chart`] with these indices, placed at [`start`].
pub fn hold(user: UserId, performance: &Performance, seats: &[usize]) -> Reservation {
    hold_at(user, performance, seats, start())
}

/// A hold on the seats of [`small_chart`] with these indices.
pub fn hold_at(user: UserId, performance: &Performance, seats: &[usize], now: Timestamp) -> Reservation {
    let chart = small_chart();
    let priced = |index: &usize| {
        let seat = &chart.seats()[*index];
        let price = performance.prices.of(seat.grade).expect("a price for each grade");
        ReservedSeat { slot: seat.slot, price_minor: price.minor }
    };
    let seats: Vec<ReservedSeat> = seats.iter().map(priced).collect();
    Reservation {
        id: id(),
        user,
        performance: performance.id,
        total: Money { minor: seats.iter().map(|seat| seat.price_minor).sum(), currency: performance.prices.currency },
        seats,
        state: ReservationState::Held,
        held_at: now,
        expires_at: now + performance.hold_for,
        settled_at: None,
        payment: None,
        cancelled_at: None,
        revision: 0,
    }
}

/// A top-up of any amount. The limit of a single top-up is checked by the use case and not by the store.
pub fn top_up(user: UserId, amount: Money) -> Transfer {
    let queue = |account, amount_minor| LedgerEntry { id: id(), account, amount_minor };
    Transfer {
        id: id(),
        kind: TransferKind::TopUp,
        user,
        amount,
        wallet_entry: queue(LedgerAccount::Wallet(user), amount.minor),
        counter_entry: queue(LedgerAccount::Gateway, -amount.minor),
        payment: None,
        refund: None,
        request: None,
        at: start(),
    }
}

/// A payment of this hold at this time, without a queue token.
pub fn payment(hold: &Reservation, now: Timestamp) -> PaymentPlan {
    let ids = TransferIds { transfer: id(), wallet_entry: id(), counter_entry: id() };
    plan_wallet_payment(hold, id(), ids, None, now)
}

/// The same hold of seats that cost nothing.
pub fn free(hold: &Reservation) -> Reservation {
    let seats = hold.seats.iter().map(|seat| ReservedSeat { price_minor: 0, ..*seat }).collect();
    Reservation { seats, total: Money { minor: 0, ..hold.total }, ..hold.clone() }
}
