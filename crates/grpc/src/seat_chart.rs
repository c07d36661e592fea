//! Converts seat charts to protobuf messages.

use encore_app::catalog::SeatChartView;
use encore_app::contexts::PerformanceContext;
use encore_domain::catalog::area::Area;
use encore_domain::catalog::drawing::{Drawing, Outline, Point, Shape, ShapeText, Size};
use encore_domain::catalog::seat_chart::{Grade, Seat, SeatChart, Slot};
use encore_domain::page::{Page, PageRequest};
use encore_proto::catalog::v1 as pb;

use crate::page_token::Listing;
use crate::to_proto::money;

/// The most seats in one reply.
pub(crate) const SEATS_PAGE_MAX: u32 = 10_000;
/// The seats in one reply of a chart where the request sets no page size. Such pages are shared by all who ask.
pub(crate) const CHART_PAGE_DEFAULT: u32 = SEATS_PAGE_MAX;
/// The most bytes of the seats in one reply. With prices and areas it stays below the 4 MiB that gRPC clients accept.
pub(crate) const SEATS_MAX_BYTES: usize = 3 * 1024 * 1024;
/// The most bytes that a seat takes in a reply beside its names, with the frames of its row and its section.
const SEAT_FRAME_BYTES: usize = 64;

/// A page of a chart, and the cursor of the next one.
pub(crate) fn chart_to_proto(
    view: &SeatChartView,
    page: PageRequest<Slot>,
    listing: &Listing<'_>,
) -> (pb::GetSeatChartResponse, Option<Slot>) {
    let chart = &view.context.venue.chart;
    let first = page.after.map_or(0, |after| chart.seats().partition_point(|seat| seat.slot <= after));
    let rows: Vec<&Seat> = chart.seats()[first..].iter().take(page.size as usize + 1).collect();
    let fit = Page::from_rows(rows, page.size, |seat| seat.slot);
    let Page { items: seats, next } = fit.within(SEATS_MAX_BYTES, |seat| seat_bytes(chart, seat), |seat| seat.slot);
    let mut index = u32::try_from(first).unwrap_or(u32::MAX);
    let mut sections: Vec<pb::ChartSection> = Vec::new();
    for seats in seats.chunk_by(|a, b| chart.row_of(a).section == chart.row_of(b).section) {
        let mut section = pb::ChartSection { section: chart.section_of(seats[0]).name.clone(), rows: Vec::new() };
        for seats in seats.chunk_by(|a, b| a.row == b.row) {
            let row = chart.row_of(seats[0]).label.clone();
            let in_row = seats.iter().map(|seat| seat_to_proto(chart, seat)).collect();
            section.rows.push(pb::ChartRow { row, first_seat: index, seats: in_row });
            index += u32::try_from(seats.len()).unwrap_or(u32::MAX);
        }
        sections.push(section);
    }
    let is_first = page.after.is_none();
    let Drawing { size, shapes } = chart.drawing();
    let reply = pb::GetSeatChartResponse {
        version: view.version.to_string(),
        not_modified: false,
        seats_total: u32::try_from(chart.seats().len()).unwrap_or(u32::MAX),
        prices: prices_to_proto(&view.context),
        sections,
        next_page_token: listing.next_page_token(next.as_ref()),
        areas: if is_first { areas_to_proto(chart) } else { vec![] },
        grade_colors: chart.grades().iter().map(|grade| grade.color.clone()).collect(),
        size: size.filter(|_| is_first).map(size_to_proto),
        shapes: if is_first { shapes.iter().map(shape_to_proto).collect() } else { vec![] },
    };
    (reply, next)
}

fn size_to_proto(size: Size) -> pb::PlanSize {
    pb::PlanSize { width: size.width, height: size.height }
}

fn point_to_proto(point: Point) -> pb::PlanPoint {
    pb::PlanPoint { x: point.x, y: point.y }
}

fn shape_to_proto(shape: &Shape) -> pb::ChartShape {
    use pb::chart_shape::Outline as Drawn;
    let outline = match &shape.outline {
        Outline::Polygon(points) => {
            Some(Drawn::Polygon(pb::PlanPolygon { points: points.iter().copied().map(point_to_proto).collect() }))
        }
        Outline::Rectangle(size) => Some(Drawn::Rectangle(size_to_proto(*size))),
        Outline::Ellipse(radii) => Some(Drawn::Ellipse(point_to_proto(*radii))),
        Outline::Circle(radius) => Some(Drawn::Circle(*radius)),
        Outline::Text => None,
    };
    let text = |text: &ShapeText| pb::ShapeText {
        text: text.text.clone(),
        color: text.color.clone(),
        position: Some(point_to_proto(text.position)),
        size: text.size,
    };
    pb::ChartShape {
        position: Some(point_to_proto(shape.position)),
        rotation: shape.rotation,
        color: shape.color.clone(),
        border_color: shape.border_color.clone(),
        outline,
        text: shape.text.as_ref().map(text),
        stage: shape.is_stage,
    }
}

/// The most bytes that a seat takes in a reply, as if it were alone in its row and its section.
pub(crate) fn seat_bytes(chart: &SeatChart, seat: &Seat) -> usize {
    let (row, section) = (chart.row_of(seat), chart.section_of(seat));
    // The label has the names of the row and of the seat once more.
    let names = seat.id.len() + 2 * seat.number.len() + chart.grade_of(seat).name.len();
    names + 2 * row.label.len() + section.name.len() + SEAT_FRAME_BYTES
}

/// The prices of a performance, in the order of the grades.
pub(crate) fn prices_to_proto(context: &PerformanceContext) -> Vec<pb::GradePrice> {
    let price = |(index, grade): (u16, &Grade)| pb::GradePrice {
        grade: grade.name.clone(),
        price: context.performance.prices.of(index).map(money),
    };
    (0..).zip(context.venue.chart.grades()).map(price).collect()
}

fn areas_to_proto(chart: &SeatChart) -> Vec<pb::ChartArea> {
    let area = |area: &Area| pb::ChartArea {
        section: chart.name_of(area).to_owned(),
        grade: area.grade.into(),
        capacity: area.capacity,
    };
    chart.areas().iter().map(area).collect()
}

fn seat_to_proto(chart: &SeatChart, seat: &Seat) -> pb::ChartSeat {
    pb::ChartSeat {
        seat_id: seat.id.clone(),
        label: chart.label_of(seat),
        number: seat.number.clone(),
        grade: seat.grade.into(),
        x: seat.x,
        y: seat.y,
        accessible: seat.accessible,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use encore_domain::catalog::location::{City, Country, Location, TimeZone};
    use encore_domain::catalog::performance_change::Amendments;
    use encore_domain::catalog::seat_chart::{
        CHART_NAME_MAX_LEN, GRADES_PER_VENUE_MAX, PlannedArea, PlannedRow, PlannedSeat, PlannedSection,
        SECTIONS_PER_VENUE_MAX,
    };
    use encore_domain::catalog::{Concert, OnSaleWindow, Performance, PriceList, Title, Venue};
    use encore_domain::ids::{ConcertId, PerformanceId, VenueId};
    use encore_domain::money::Currency;
    use encore_domain::time::Timestamp;
    use prost::Message;
    use uuid::Uuid;

    use super::*;
    use crate::page_token::unsigned_listings;

    /// The highest price of any currency, in minor units.
    pub(crate) const PRICE_OF_MANY_DIGITS: i64 = 10_000_000_000_000;

    /// The largest reply that gRPC clients accept by default.
    pub(crate) const REPLY_MAX_BYTES: usize = 4 * 1024 * 1024;
    const SEATS: u32 = 20_000;

    fn longest_name(n: usize) -> String {
        format!("{n:0CHART_NAME_MAX_LEN$}")
    }

    /// A performance whose names are as long as they can be, with one seat in each row, and as many areas as there can be
    /// beside the sections with seats.
    pub(crate) fn largest_context() -> PerformanceContext {
        let areas = SECTIONS_PER_VENUE_MAX / 2;
        let with_seats = SECTIONS_PER_VENUE_MAX - areas;
        let seat = |n: usize| PlannedSeat {
            id: longest_name(n),
            number: longest_name(n),
            grade: 99,
            x: f64::MAX,
            y: f64::MAX,
            accessible: true,
        };
        let row = |n: usize| PlannedRow { label: longest_name(n), seats: vec![seat(n)] };
        let per_section = SEATS as usize / with_seats;
        let seated = (0..with_seats).map(|section| PlannedSection {
            name: longest_name(section),
            rows: (0..per_section).map(|n| row(section * per_section + n)).collect(),
            general_admission: None,
        });
        let general_admission = (0..areas).map(|area| PlannedSection {
            name: longest_name(with_seats + area),
            rows: vec![],
            general_admission: Some(PlannedArea { capacity: 100, grade: 99 }),
        });
        let grades = (0..GRADES_PER_VENUE_MAX).map(|n| Grade { name: longest_name(n), color: String::new() }).collect();
        let chart = SeatChart::lay_out(seated.chain(general_admission).collect(), grades);
        let title = || Title::parse(&"ü".repeat(200)).expect("a title");
        let (created_at, id) = (Timestamp::UNIX_EPOCH, Uuid::from_u128(1));
        let prices = PriceList {
            currency: Currency::parse("EUR").expect("a currency"),
            minor_by_grade: vec![Some(PRICE_OF_MANY_DIGITS); GRADES_PER_VENUE_MAX],
        };
        let performance = Performance {
            id: PerformanceId(id),
            concert: ConcertId(id),
            venue: VenueId(id),
            starts_at: created_at,
            on_sale: OnSaleWindow { opens_at: created_at, closes_at: created_at },
            prices,
            seats_per_fan: 8,
            hold_for: Duration::from_mins(5),
            has_queue: false,
            amended: Amendments::default(),
        };
        let location = Location {
            city: City::parse(&"ü".repeat(100)).expect("a city"),
            country: Country::parse("AR").expect("a country"),
            time_zone: TimeZone::parse("America/Argentina/ComodRivadavia").expect("a time zone"),
        };
        PerformanceContext {
            performance: Arc::new(performance),
            concert: Arc::new(Concert { id: ConcertId(id), title: title(), artist: title(), created_at }),
            venue: Arc::new(Venue { id: VenueId(id), name: title(), location: Some(location), chart, created_at }),
        }
    }

    #[test]
    fn a_chart_of_the_longest_names_is_sent_in_replies_that_clients_accept() {
        let view = SeatChartView { context: largest_context(), version: "v".repeat(24).into() };
        let listings = unsigned_listings();
        let listing = listings.of("GetSeatChart", None, []);
        let (mut seats, mut after) = (0, None);
        loop {
            let (reply, _) = chart_to_proto(&view, PageRequest { after, size: 10_000 }, &listing);
            assert!(reply.encoded_len() < REPLY_MAX_BYTES, "{} bytes", reply.encoded_len());
            let rows = reply.sections.iter().flat_map(|section| &section.rows);
            for row in rows {
                assert_eq!(row.first_seat, seats);
                seats += 1;
            }
            if reply.next_page_token.is_empty() {
                break;
            }
            after = listing.cursor(&reply.next_page_token);
        }
        assert_eq!(seats, SEATS);
    }
}
