//! Every index is used by the query that it is named after, as the adapters send it.
#![expect(clippy::expect_used, reason = "tests")]

mod common;

use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::audit_log::AuditFilter;
use encore_domain::booking::{Reservation, ReservationFilter};
use encore_domain::catalog::listing::{
    ConcertFilter, ConcertOrder, LocationFilter, PerformanceFilter, PerformanceOrder, VenueFilter,
};
use encore_domain::catalog::location::{City, Country};
use encore_domain::catalog::search::Search;
use encore_domain::catalog::{Performance, SEATS_PER_FAN_MAX};
use encore_domain::identity::email_verification::EmailVerification;
use encore_domain::identity::session::{SECRET_BYTES, Secret};
use encore_domain::page::PageRequest;
use encore_domain::payment::card::Purpose;
use encore_domain::payment::card_plan::CardPlan;
use encore_domain::payment::gateway::MethodToken;
use encore_domain::ports::{
    AuditLog, CardPayments, Catalog, EmailVerifications, EndedSession, Notifications, PasswordResets, Payments,
    Refunds, RequestRecords, Reservations, SalesRecords, Sessions, Users, Wallets, WebhookDeliveries,
};
use encore_domain::sales_records::{RecordsOf, TimeRange};
use encore_port_tests::fixtures::{self, at_secs, hold, request};
use encore_postgres_store::{
    Database, PostgresAuditLog, PostgresCardPayments, PostgresCatalog, PostgresEmailVerifications,
    PostgresNotifications, PostgresPasswordResets, PostgresPayments, PostgresRefunds, PostgresRequestRecords,
    PostgresReservations, PostgresSalesRecords, PostgresSessions, PostgresUsers, PostgresWallets,
    PostgresWebhookDeliveries,
};

/// An attempt to pay a hold by card.
fn card_plan(hold: &Reservation) -> CardPlan {
    CardPlan {
        payment: fixtures::id(),
        user: hold.user,
        purpose: Purpose::Seats { reservation: hold.id, performance: hold.performance },
        amount: hold.total,
        attempt: fixtures::id(),
        method: MethodToken::parse("card").expect("a token"),
        token: None,
        revision: hold.revision,
        at: at_secs(1),
        lease_until: at_secs(31),
    }
}

/// Runs the queries that the indexes are named after.
async fn run_indexed_queries(database: Database) -> Result<(), Box<dyn std::error::Error>> {
    let (users, catalog) = (PostgresUsers::new(database.clone()), PostgresCatalog::new(database.clone()));
    let (reservations, wallets) = (PostgresReservations::new(database.clone()), PostgresWallets::new(database.clone()));
    let (payments, cards) = (PostgresPayments::new(database.clone()), PostgresCardPayments::new(database.clone()));
    let resets = PostgresPasswordResets::new(database.clone());
    let verifications = PostgresEmailVerifications::new(database.clone());
    let deliveries = PostgresWebhookDeliveries::new(database.clone());
    let notifications = PostgresNotifications::new(database.clone());
    let (refunds, sessions) = (PostgresRefunds::new(database.clone()), PostgresSessions::new(database.clone()));
    let forgetting = PostgresRequestRecords::new(database.clone());
    let sales_records = PostgresSalesRecords::new(database.clone());
    let audit_log = PostgresAuditLog::new(database);

    let account = fixtures::account();
    let fan = account.user.id;
    users.create(account.clone(), None).await?;
    let venue = catalog.add_venue(fixtures::venue(fixtures::small_chart()), None).await?.into_inner();
    let concert = catalog.add_concert(fixtures::concert(), None).await?.into_inner();
    let sale = catalog.add_performance(fixtures::performance(concert.id, venue.id), None, None).await?.into_inner();
    let hold = hold(fan, &sale, &[0]);
    reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request(fan)).await?;
    let top_up = fixtures::top_up(fan, hold.total);
    wallets.top_up(top_up.clone(), request(fan)).await?;

    users.find_by_email(&account.user.email).await?;
    sessions.live(fan, at_secs(1)).await?;
    resets.forget(at_secs(1), 100).await?;
    let digest = Secret([7; SECRET_BYTES]).digest();
    let verification = EmailVerification { digest, user: fan, made_at: at_secs(1), expires_at: at_secs(9) };
    verifications.add(verification).await?;
    verifications.forget(at_secs(1), 100).await?;
    users.change_password(&account, account.password_hash.clone(), None, at_secs(1)).await?;
    sessions.expire(at_secs(1), 100).await?;
    let before = EndedSession { ended_at: at_secs(1), id: fixtures::id() };
    sessions.ended_after(before, 100).await?;
    browse(&catalog, &sale).await?;
    catalog.on_sale(at_secs(1)).await?;
    catalog.changed_performances(at_secs(1), PageRequest::first(20)).await?;
    reservations.list(fan, &ReservationFilter::all(fixtures::start()), PageRequest::first(20)).await?;
    reservations.expire_due(at_secs(1), 100).await?;
    let of_sale = RecordsOf::Performance(sale.id);
    let all = ReservationFilter::all(fixtures::start());
    sales_records.reservations(of_sale, TimeRange::default(), &all, PageRequest::first(20)).await?;
    sales_records.payments(of_sale, TimeRange::default(), PageRequest::first(20)).await?;
    wallets.entries(fan, PageRequest::first(20)).await?;
    wallets.ledger_entries(top_up.id).await?;
    payments.list(fan, PageRequest::first(20)).await?;
    payments.pending(sale.id, at_secs(1), 100).await?;
    cards.take_due(at_secs(1), at_secs(31), 100).await?;
    cards.start(card_plan(&hold), request(fan)).await?;
    refunds.of_payment(fixtures::id()).await?;
    notifications.forget(at_secs(1), 100).await?;
    deliveries.due(fixtures::id(), at_secs(1), 100).await?;
    deliveries.page(fixtures::id(), false, PageRequest::first(20)).await?;
    forgetting.forget(at_secs(1), 100).await?;
    for filter in [
        AuditFilter { by: Some(fan), ..AuditFilter::default() },
        AuditFilter { target: Some(fixtures::id()), ..AuditFilter::default() },
    ] {
        audit_log.list(&filter, PageRequest::first(20)).await?;
    }
    Ok(())
}

/// The listings of the catalogue.
async fn browse(catalog: &PostgresCatalog, sale: &Performance) -> Result<(), Box<dyn std::error::Error>> {
    let (search, by_start) = (Some(Search::parse("night")?), PerformanceOrder::Start);
    let all = ConcertFilter::default();
    catalog.concerts(&ConcertFilter { search: search.clone(), ..all.clone() }, ConcertOrder::Creation, first()).await?;
    catalog.concerts(&all, ConcertOrder::Title, first()).await?;
    for filter in [
        PerformanceFilter::of_concert(sale.concert),
        PerformanceFilter { venue: Some(sale.venue), ..PerformanceFilter::default() },
        PerformanceFilter { starts_from: Some(at_secs(1)), ..PerformanceFilter::default() },
    ] {
        catalog.performances(&filter, by_start, first()).await?;
    }
    catalog.performances(&PerformanceFilter::default(), PerformanceOrder::OnSale, first()).await?;
    let city = LocationFilter { city: Some(City::parse("Wien")?.key()), country: None };
    let country = LocationFilter { city: None, country: Some(Country::parse("AT")?) };
    let venues = VenueFilter::default();
    for filter in [
        VenueFilter { search, ..venues.clone() },
        VenueFilter { location: city, ..venues.clone() },
        VenueFilter { location: country, ..venues.clone() },
        venues,
    ] {
        catalog.venues(&filter, first()).await?;
    }
    Ok(())
}

fn first<C>() -> PageRequest<C> {
    PageRequest::first(20)
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    line: String,
}

/// The indexes that are named after a query and have not been scanned yet. Waits until all other sessions have ended.
async fn unused_indexes(url: &str) -> Vec<String> {
    const SESSIONS: &str = "
        SELECT pid::text AS line FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    const UNUSED: &str = r"
        SELECT indexrelname::text AS line FROM pg_stat_user_indexes
        WHERE idx_scan = 0 AND indexrelname ~ '_(of|by|due|on_sale|pending)(_|$)' ORDER BY line";
    let mut conn = AsyncPgConnection::establish(url).await.expect("the scratch database accepts connections");
    // The statistics of a session are complete when it has ended.
    while !diesel::sql_query(SESSIONS).load::<Found>(&mut conn).await.expect("the server lists its sessions").is_empty()
    {
        tokio::task::yield_now().await;
    }
    let lines: Vec<Found> = diesel::sql_query(UNUSED).load(&mut conn).await.expect("the server has statistics");
    lines.into_iter().map(|line| line.line).collect()
}

#[tokio::test]
async fn every_index_is_used_by_its_query() {
    let scratch = common::scratch().await;
    let config = scratch.config();
    assert_eq!(unused_indexes(&config.url).await.len(), 40, "no index has been used");
    let database = Database::connect(&config).await.expect("the scratch database accepts connections");
    run_indexed_queries(database).await.expect("the queries succeed");
    assert_eq!(unused_indexes(&scratch.url()).await, Vec::<String>::new());
}

/// The planner knows nothing of a table when it makes the plans of a connection, and keeps them. An index of all that is held would
/// be small then, and is large when a sale runs.
#[tokio::test]
async fn a_batch_of_payments_does_not_read_what_else_is_held() {
    const READ: &str = "
        SELECT idx_tup_read::text AS line FROM pg_stat_user_indexes WHERE indexrelname = 'reservations_due'";
    let scratch = common::scratch().await;
    let config = scratch.config();
    let database = Database::connect(&config).await.expect("the scratch database accepts connections");
    let held = hold_and_pay(database).await.expect("the queries succeed");
    assert!(held > 20);
    // Waits until the statistics are complete.
    unused_indexes(&config.url).await;
    let mut conn =
        AsyncPgConnection::establish(&scratch.url()).await.expect("the scratch database accepts connections");
    let read: Found = diesel::sql_query(READ).get_result(&mut conn).await.expect("the server has statistics");
    assert_eq!(read.line, "0");
}

/// Holds many seats and pays for two of them at once. Returns how many holds there were.
async fn hold_and_pay(database: Database) -> Result<usize, Box<dyn std::error::Error>> {
    let (users, catalog) = (PostgresUsers::new(database.clone()), PostgresCatalog::new(database.clone()));
    let (reservations, wallets) = (PostgresReservations::new(database.clone()), PostgresWallets::new(database.clone()));
    let payments = PostgresPayments::new(database);
    let account = fixtures::account();
    let fan = account.user.id;
    users.create(account, None).await?;
    let venue = catalog.add_venue(fixtures::venue(fixtures::small_chart()), None).await?.into_inner();
    let concert = catalog.add_concert(fixtures::concert(), None).await?.into_inner();
    let sale = catalog.add_performance(fixtures::performance(concert.id, venue.id), None, None).await?.into_inner();
    let holds: Vec<Reservation> = (0..fixtures::SMALL_CHART_SEATS).map(|seat| hold(fan, &sale, &[seat])).collect();
    for hold in &holds {
        reservations.place(hold.clone(), SEATS_PER_FAN_MAX, None, request(fan)).await?;
    }
    wallets.top_up(fixtures::top_up(fan, fixtures::euros(100_000)), request(fan)).await?;
    let pay = |hold: &Reservation| payments.pay_from_wallet(fixtures::payment(hold, at_secs(1)), request(fan));
    let (first, second) = futures::join!(pay(&holds[0]), pay(&holds[1]));
    first?;
    second?;
    Ok(holds.len())
}
