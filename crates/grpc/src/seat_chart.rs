//! Converts seat charts to protobuf messages.

use encore_app::catalog::SeatChartView;
use encore_app::contexts::PerformanceContext;
use encore_domain::catalog::area::Area;
use encore_domain::catalog::drawing::{Drawing, Outline, Point, Shape, ShapeText, Size};
use encore_domain::catalog::seat_chart::{Grade, Seat, SeatChart, Slot};
use encore_domain::page::{Page, PageRequest};
use encore_proto::catalog::v1 as pb;

use crate::page_token::next_page_token;
use crate::to_proto::money;

/// A page of a chart.
pub(crate) fn chart_to_proto(view: &SeatChartView, page: PageRequest<Slot>) -> pb::GetSeatChartResponse {
    let chart = &view.context.venue.chart;
    let first = page.after.map_or(0, |after| chart.seats().partition_point(|seat| seat.slot <= after));
    let rows: Vec<&Seat> = chart.seats()[first..].iter().take(page.size as usize + 1).collect();
    let Page { items: seats, next } = Page::from_rows(rows, page.size, |seat| seat.slot);
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
    pb::GetSeatChartResponse {
        version: view.version.to_string(),
        not_modified: false,
        seats_total: u32::try_from(chart.seats().len()).unwrap_or(u32::MAX),
        prices: prices_to_proto(&view.context),
        sections,
        next_page_token: next_page_token(next.as_ref()),
        areas: if is_first { areas_to_proto(chart) } else { vec![] },
        grade_colors: chart.grades().iter().map(|grade| grade.color.clone()).collect(),
        size: size.filter(|_| is_first).map(size_to_proto),
        shapes: if is_first { shapes.iter().map(shape_to_proto).collect() } else { vec![] },
    }
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
