//! Decodes revisions of venues, and encodes venues.

use encore_app::admin::ImportedVenue;
use encore_domain::catalog::Venue;
use encore_domain::catalog::drawing::Point;
use encore_domain::catalog::venue_revision::{NewArea, VenueRevision};
use encore_proto::admin::v1 as pb;
use encore_proto::catalog::v1::PlanPoint;

use crate::fields::Fields;
use crate::locations::{location_to_proto, optional_location};

pub(crate) fn imported_to_proto(imported: &ImportedVenue) -> pb::ImportVenueResponse {
    let warnings = imported.warnings.iter();
    let warnings = warnings.map(|it| pb::ImportWarning { path: it.path.clone(), text: it.text.clone() });
    pb::ImportVenueResponse { venue: Some(venue_to_proto(&imported.venue)), warnings: warnings.collect() }
}

/// The changes of a revision; none if a point or the location is invalid. The use case checks them against the venue.
pub(crate) fn revision(fields: &mut Fields, message: pb::ReviseVenueRequest) -> Option<VenueRevision> {
    let of_plan = match &message.focal_point {
        Some(focal_point) => point(fields, "focal_point", Some(focal_point)).map(Some),
        None => Some(None),
    };
    let mut of_sections = Vec::with_capacity(message.section_focal_points.len());
    for (index, section) in message.section_focal_points.iter().enumerate() {
        let field = format!("section_focal_points[{index}].focal_point");
        let focal_point = point(fields, &field, section.focal_point.as_ref());
        of_sections.push(focal_point.map(|focal_point| (section.section.clone(), focal_point)));
    }
    let location = optional_location(fields, message.location.as_ref());
    let area = |area: pb::NewGeneralAdmissionArea| {
        let pb::NewGeneralAdmissionArea { name, grade, capacity } = area;
        NewArea { name, grade, capacity }
    };
    Some(VenueRevision {
        accessible_seat_ids: message.accessible_seat_ids,
        ordinary_seat_ids: message.ordinary_seat_ids,
        focal_point: of_plan?,
        section_focal_points: of_sections.into_iter().collect::<Option<_>>()?,
        general_admission_areas: message.general_admission_areas.into_iter().map(area).collect(),
        location: location?,
    })
}

fn point(fields: &mut Fields, field: &str, value: Option<&PlanPoint>) -> Option<Point> {
    let point = value.map(|point| Point { x: point.x, y: point.y });
    let point = point.filter(|point| point.x.is_finite() && point.y.is_finite());
    fields.read(field, point.ok_or("must be set, with finite coordinates"))
}

pub(crate) fn venue_to_proto(venue: &Venue) -> pb::Venue {
    let chart = &venue.chart;
    let mut seats_by_grade = vec![0_u32; chart.grades().len()];
    for seat in chart.seats() {
        seats_by_grade[usize::from(seat.grade)] += 1;
    }
    for area in chart.areas() {
        seats_by_grade[usize::from(area.grade)] += area.capacity;
    }
    let grades = chart.grades().iter().zip(seats_by_grade);
    pb::Venue {
        venue_id: venue.id.to_string(),
        name: venue.name.as_str().to_owned(),
        sections: chart.sections().iter().map(|section| section.name.clone()).collect(),
        grades: grades.map(|(grade, seats_total)| pb::Grade { name: grade.name.clone(), seats_total }).collect(),
        seats_total: chart.capacity(),
        location: venue.location.as_ref().map(location_to_proto),
    }
}
