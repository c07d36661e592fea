//! Running sales.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use encore_domain::catalog::{Concert, OnSaleWindow, Performance, PriceList, Title, Venue};
use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
use encore_domain::line_ceilings::LineCeilings;
use encore_domain::money::Money;
use encore_domain::ports::{Catalog, Clock, Ids, Secrets};
use encore_domain::queue::{Line, LineDraw, LineSettings};
use encore_domain::request::RequestKey;
use encore_domain::seat_chart::Grade;
use encore_domain::time::Timestamp;

use crate::catalog::PerformanceOffer;
use crate::error::{AppError, Violation};
use crate::halls::{Hall, Halls};
use crate::line_ceilings::TurnedUp;

/// A performance to be. Each part is in its bounds; whether they fit together is decided here.
#[derive(Clone, Debug)]
pub struct NewPerformance {
    /// What is played.
    pub concert: ConcertId,
    /// Where.
    pub venue: VenueId,
    /// When the show begins.
    pub starts_at: Timestamp,
    /// When seats may be held.
    pub on_sale: OnSaleWindow,
    /// A price for every grade of the venue, by name.
    pub prices: Vec<(String, Money)>,
    /// How many seats one fan may own.
    pub seats_per_fan: u32,
    /// How long a hold lives.
    pub hold_for: Duration,
    /// The line in front of the sale, if any.
    pub line: Option<NewLine>,
}

/// A line to be.
#[derive(Clone, Debug)]
pub struct NewLine {
    /// How it admits.
    pub settings: LineSettings,
    /// From when on it collects joiners, before the opening; none if nobody may join before.
    pub collects_from: Option<Timestamp>,
    /// Whether its rate and cap may be beyond their ceilings.
    pub override_ceiling: bool,
}

impl NewLine {
    fn turned_up(&self) -> TurnedUp {
        let LineSettings { rate, cap, .. } = self.settings;
        TurnedUp { settings: "line", rate: Some(rate), cap: Some(cap), is_meant: self.override_ceiling }
    }
}

/// The use cases of `AdminService`.
#[derive(Clone)]
pub struct AdminUseCases {
    catalog: Arc<dyn Catalog>,
    halls: Halls,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    secrets: Arc<dyn Secrets>,
    ceilings: LineCeilings,
}

impl AdminUseCases {
    /// Puts the use cases on their ports. There are no ceilings.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        halls: Halls,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        secrets: Arc<dyn Secrets>,
    ) -> Self {
        Self { catalog, halls, clock, ids, secrets, ceilings: LineCeilings::default() }
    }

    /// The same with these ceilings.
    pub fn under(self, ceilings: LineCeilings) -> Self {
        Self { ceilings, ..self }
    }

    /// Reads a seating plan and keeps it as a venue, whole or not at all.
    pub async fn import_venue(&self, plan_json: String, request: Option<RequestKey>) -> Result<Venue, AppError> {
        // A large plan takes a good part of a second of a core.
        let reading = tokio::task::spawn_blocking(move || encore_seating_plan::read(&plan_json));
        let plan = reading.await.map_err(|failed| AppError::Internal(failed.to_string()))?;
        let plan = plan.map_err(|violations| {
            let named = violations.into_iter().map(|it| Violation::new(format!("plan_json{}", it.path), it.rule));
            AppError::Invalid(named.collect())
        })?;
        let id = VenueId(self.ids.next());
        let venue = Venue { id, name: plan.name, chart: plan.chart, created_at: self.clock.now() };
        Ok(self.catalog.add_venue(venue, request).await?.into_inner())
    }

    /// Creates a concert.
    pub async fn create_concert(
        &self,
        title: Title,
        artist: Title,
        request: Option<RequestKey>,
    ) -> Result<Concert, AppError> {
        let id = ConcertId(self.ids.next());
        let concert = Concert { id, title, artist, created_at: self.clock.now() };
        Ok(self.catalog.add_concert(concert, request).await?.into_inner())
    }

    /// Creates a date of a concert at a venue. A line beyond a ceiling is refused unless it overrides them.
    pub async fn create_performance(
        &self,
        new: NewPerformance,
        request: Option<RequestKey>,
    ) -> Result<PerformanceOffer, AppError> {
        let concert = self.halls.concert(new.concert).await?;
        let venue = self.halls.venue(new.venue).await?;
        let prices = price_list(venue.chart.grades(), &new.prices).map_err(AppError::Invalid)?;
        new.line.as_ref().map_or(Ok(()), |line| line.turned_up().check(self.ceilings))?;
        let NewPerformance { starts_at, on_sale, seats_per_fan, hold_for, line, .. } = new;
        let performance = Performance {
            id: PerformanceId(self.ids.next()),
            concert: concert.id,
            venue: venue.id,
            starts_at,
            on_sale,
            prices,
            seats_per_fan,
            hold_for,
            has_line: line.is_some(),
        };
        let line = line.map(|NewLine { settings, collects_from, .. }| {
            let draw = collects_from.map(|collects_from| LineDraw { collects_from, key: self.secrets.draw_key() });
            Line { settings, draw }
        });
        let performance = self.catalog.add_performance(performance, line, request).await?.into_inner();
        let seats_left = venue.chart.capacity();
        Ok(PerformanceOffer { hall: Hall { performance: Arc::new(performance), concert, venue }, seats_left })
    }
}

/// Matches named prices with the grades of a venue: every grade once, all in one currency.
fn price_list(grades: &[Grade], prices: &[(String, Money)]) -> Result<PriceList, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut seen = HashSet::new();
    for (index, (name, price)) in prices.iter().enumerate() {
        if !grades.iter().any(|grade| grade.name == *name) {
            violations.push(Violation::new(format!("prices[{index}].grade"), "must be a grade of the venue"));
        }
        if !seen.insert(name) {
            violations.push(Violation::new(format!("prices[{index}].grade"), "must not be priced twice"));
        }
        if price.currency != prices[0].1.currency {
            let rule = "must be in the same currency as the first price";
            violations.push(Violation::new(format!("prices[{index}].price.currency_code"), rule));
        }
    }
    let mut minor_by_grade = Vec::with_capacity(grades.len());
    for grade in grades {
        match prices.iter().find(|(name, _)| *name == grade.name) {
            Some((_, price)) => minor_by_grade.push(price.minor),
            None => violations.push(Violation::new("prices", format!("must have a price for grade {:?}", grade.name))),
        }
    }
    match prices.first() {
        Some((_, first)) if violations.is_empty() => Ok(PriceList { currency: first.currency, minor_by_grade }),
        _ => Err(violations),
    }
}
