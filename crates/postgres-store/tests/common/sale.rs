//! A sale on a scratch database.

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use encore_domain::booking::Reservation;
use encore_domain::catalog::Performance;
use encore_domain::ids::UserId;
use encore_domain::ports::{Catalog, Users};
use encore_domain::request::RequestKey;
use encore_port_tests::fixtures::{self, hold, request};
use encore_postgres_store::scratch::ScratchDatabase;
use encore_postgres_store::{Database, PostgresCatalog, PostgresReservations, PostgresUsers};

use crate::common;

pub struct Sale {
    pub scratch: ScratchDatabase,
    pub users: PostgresUsers,
    pub reservations: PostgresReservations,
    pub performance: Performance,
}

impl Sale {
    pub async fn open() -> Self {
        let scratch = common::scratch().await;
        let database = Database::connect(&scratch.config()).await.expect("the scratch database accepts connections");
        let catalog = PostgresCatalog::new(database.clone());
        let (venue, concert) = (fixtures::venue(fixtures::small_chart()), fixtures::concert());
        catalog.add_venue(venue.clone(), None).await.expect("a venue");
        catalog.add_concert(concert.clone(), None).await.expect("a concert");
        let performance = fixtures::performance(concert.id, venue.id);
        catalog.add_performance(performance.clone(), None, None).await.expect("a performance");
        let (users, reservations) = (PostgresUsers::new(database.clone()), PostgresReservations::new(database));
        Self { scratch, users, reservations, performance }
    }

    pub async fn sign_up(&self) -> UserId {
        let account = fixtures::account();
        let fan = account.user.id;
        // Without an event of the sign-up.
        self.users.add_all(vec![account]).await.expect("a fan");
        fan
    }

    /// A hold of these seats by a new fan, and its request.
    pub async fn placement(&self, seats: &[usize]) -> (Reservation, RequestKey) {
        let fan = self.sign_up().await;
        (hold(fan, &self.performance, seats), request(fan))
    }

    pub async fn count(&self, query: &str) -> i64 {
        count(&self.scratch.url(), query).await
    }

    pub async fn connect(&self) -> AsyncPgConnection {
        connect(&self.scratch.url()).await
    }
}

/// The value of the column `count` of a query.
pub async fn count(url: &str, query: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    diesel::sql_query(query).get_result::<Count>(&mut connect(url).await).await.expect("the database counts").count
}

async fn connect(url: &str) -> AsyncPgConnection {
    AsyncPgConnection::establish(url).await.expect("the scratch database accepts connections")
}
