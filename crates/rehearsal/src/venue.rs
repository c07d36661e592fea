//! A venue for rehearsals: as many seats as asked for, in blocks of rows.

use serde_json::{Value, json};

/// Seats in a row.
const SEATS_PER_ROW: u32 = 25;
/// Rows in a block.
const ROWS_PER_BLOCK: u32 = 20;
/// Pixels between seats and between rows.
const PITCH: u32 = 20;
/// The one grade.
pub const GRADE: &str = "Standard";
/// The name of the general admission area of a venue that has one.
pub const AREA: &str = "Floor";
/// The most seats and units that a server takes in one venue.
pub const SEATS_MAX: u32 = 100_000;

/// A venue of blocks `1`, `2`, … of 500 seats each; the last one has what is left. It may have a general admission area.
#[derive(Clone, Copy, Debug)]
pub struct Venue {
    seats: u32,
    units: u32,
}

impl Venue {
    /// A venue of this many seats, of [`SEATS_MAX`] at most and of one at least.
    pub fn of(seats: u32) -> Self {
        Self { seats: seats.clamp(1, SEATS_MAX), units: 0 }
    }

    /// The same venue with a general admission area that fills it up to [`SEATS_MAX`].
    pub fn with_area(self) -> Self {
        Self { units: SEATS_MAX - self.seats, ..self }
    }

    /// How many units its general admission area has; 0 if there is none.
    pub fn units(self) -> u32 {
        self.units
    }

    /// How many seats it has.
    pub fn seats(self) -> u32 {
        self.seats
    }

    /// The names of its blocks.
    pub fn blocks(self) -> Vec<String> {
        (0..self.seats.div_ceil(SEATS_PER_ROW * ROWS_PER_BLOCK)).map(block_name).collect()
    }

    /// The seats of each row, in the order in which people sit.
    pub fn rows(self) -> Vec<Vec<String>> {
        let row = |row| (row * SEATS_PER_ROW..self.seats.min((row + 1) * SEATS_PER_ROW)).map(seat_id).collect();
        (0..self.seats.div_ceil(SEATS_PER_ROW)).map(row).collect()
    }

    /// Pairs of neighbours, no seat in two of them.
    pub fn pairs(self) -> Vec<[String; 2]> {
        let pairs = |row: Vec<String>| {
            let pairs = row.chunks_exact(2).map(|pair| [pair[0].clone(), pair[1].clone()]);
            pairs.collect::<Vec<_>>()
        };
        self.rows().into_iter().flat_map(pairs).collect()
    }

    /// The venue as a seating plan that `ImportVenue` reads.
    pub fn plan_json(self) -> String {
        let rows = self.rows();
        let blocks = rows.chunks(ROWS_PER_BLOCK as usize).zip(0..);
        let mut zones: Vec<Value> = blocks
            .map(|(rows, block)| {
                let rows: Vec<Value> = rows.iter().zip(0..).map(|(seats, row)| row_json(seats, row)).collect();
                let y = block * (ROWS_PER_BLOCK + 2) * PITCH;
                json!({ "name": block_name(block), "position": { "x": 0, "y": y }, "rows": rows })
            })
            .collect();
        if self.units > 0 {
            let area = json!({ "capacity": self.units, "category": GRADE });
            zones.push(json!({ "name": AREA, "position": { "x": 0, "y": 0 }, "general_admission": area }));
        }
        let categories = json!([{ "name": GRADE, "color": "#1f6f8b" }]);
        json!({ "name": "Rehearsal venue", "categories": categories, "zones": zones }).to_string()
    }
}

fn row_json(seats: &[String], row: u32) -> Value {
    let seats: Vec<Value> = seats
        .iter()
        .zip(0..)
        .map(|(guid, place): (&String, u32)| {
            json!({
                "seat_guid": guid,
                "seat_number": (place + 1).to_string(),
                "position": { "x": place * PITCH, "y": 0 },
                "category": GRADE,
            })
        })
        .collect();
    json!({ "row_number": (row + 1).to_string(), "position": { "x": 0, "y": row * PITCH }, "seats": seats })
}

fn block_name(block: u32) -> String {
    format!("Block {}", block + 1)
}

/// The id of a seat by its place in the venue: block, row in the block and number, each from 1.
fn seat_id(place: u32) -> String {
    let (row, number) = (place / SEATS_PER_ROW, place % SEATS_PER_ROW);
    format!("{}-{}-{}", row / ROWS_PER_BLOCK + 1, row % ROWS_PER_BLOCK + 1, number + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_venue_has_the_requested_seats_once_each() {
        for seats in [1, 24, 25, 26, 500, 501, 2_000, 20_003] {
            let venue = Venue::of(seats);
            let ids: BTreeSet<String> = venue.rows().into_iter().flatten().collect();
            assert_eq!(ids.len(), seats as usize);
            let plan: Value = serde_json::from_str(&venue.plan_json()).expect("JSON");
            let zones = plan["zones"].as_array().expect("zones");
            assert_eq!(zones.len(), venue.blocks().len());
            let rows = zones.iter().flat_map(|zone| zone["rows"].as_array().expect("rows"));
            let planned: usize = rows.map(|row| row["seats"].as_array().expect("seats").len()).sum();
            assert_eq!(planned, seats as usize);
        }
    }

    #[test]
    fn a_general_admission_area_fills_up_the_venue() {
        let venue = Venue::of(20_000).with_area();
        assert_eq!((venue.seats(), venue.units()), (20_000, 80_000));
        let plan: Value = serde_json::from_str(&venue.plan_json()).expect("JSON");
        let zones = plan["zones"].as_array().expect("zones");
        assert_eq!((zones.len(), &zones[40]["general_admission"]["capacity"]), (41, &json!(80_000)));
    }

    #[test]
    fn pairs_are_neighbours_and_share_no_seat() {
        let venue = Venue::of(60);
        let pairs = venue.pairs();
        assert_eq!(pairs.len(), 12 + 12 + 5, "rows of 25, 25 and 10");
        assert_eq!(pairs[12], ["1-2-1".to_owned(), "1-2-2".to_owned()]);
        assert_eq!(pairs.iter().flatten().collect::<BTreeSet<_>>().len(), 58);
    }
}
