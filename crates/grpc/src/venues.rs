//! Encodes venues.

use encore_app::admin::ImportedVenue;
use encore_domain::catalog::Venue;
use encore_proto::admin::v1 as pb;

pub(crate) fn imported_to_proto(imported: &ImportedVenue) -> pb::ImportVenueResponse {
    let warnings = imported.warnings.iter();
    let warnings = warnings.map(|it| pb::ImportWarning { path: it.path.clone(), text: it.text.clone() });
    pb::ImportVenueResponse { venue: Some(venue_to_proto(&imported.venue)), warnings: warnings.collect() }
}

fn venue_to_proto(venue: &Venue) -> pb::Venue {
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
    }
}
