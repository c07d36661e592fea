//! Generates the seating plan of the demo's venue in pretix's format: stalls between two side blocks, and a balcony behind
//! them.
//!
//! The stage is at the top. All rows are arcs around one point behind the front of the stage, so that every seat faces it. A
//! row farther back is longer and has more seats.

use std::f64::consts::PI;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::outcome::Outcome;
use crate::workspace;

/// Pixels from seat to seat: 0.55 m, so that a metre is 40 pixels.
const SEAT_PITCH: f64 = 22.0;
/// Pixels from row to row: 0.95 m.
const ROW_PITCH: f64 = 38.0;
/// The width of an aisle in seats: 1.1 m between the armrests.
const AISLE_SEATS: f64 = 2.0;
/// The common centre of the rows, from the left and the top of the plan.
const CENTER: Point = Point { x: 1_300.0, y: -140.0 };
const SIZE: (u32, u32) = (2_600, 1_560);
/// I and O are left out because they read as numbers.
const ROW_LABELS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";

const PREMIUM: &str = "Premium";
const STANDARD: &str = "Standard";
const ECONOMY: &str = "Economy";
const ACCESSIBLE: &str = "Accessible";
const CATEGORIES: [(&str, &str); 4] =
    [(PREMIUM, "#b3261e"), (STANDARD, "#1f6f8b"), (ECONOMY, "#7a8b3c"), (ACCESSIBLE, "#5b3f8c")];

#[derive(Clone, Copy)]
struct Point {
    x: f64,
    y: f64,
}

/// A part of the venue between two angles from the middle line. Angles to the left are negative.
struct Block {
    name: &'static str,
    /// The prefix of the seats' guids.
    prefix: &'static str,
    rows: usize,
    /// The distance from the centre to the first row.
    radius: f64,
    /// The angles of its parts in degrees, from left to right, with an aisle between one part and the next.
    parts: &'static [(f64, f64)],
    category: fn(row: usize, seat: usize, seats: usize) -> &'static str,
}

const BLOCKS: [Block; 4] = [
    Block {
        name: "Stalls",
        prefix: "stalls",
        rows: 20,
        radius: 460.0,
        parts: &[(-30.0, 0.0), (0.0, 30.0)],
        category: of_stalls,
    },
    Block { name: "Side left", prefix: "left", rows: 15, radius: 650.0, parts: &[(-54.0, -33.0)], category: of_side },
    Block { name: "Side right", prefix: "right", rows: 15, radius: 650.0, parts: &[(33.0, 54.0)], category: of_side },
    Block {
        name: "Balcony",
        prefix: "balcony",
        rows: 8,
        radius: 1_340.0,
        parts: &[(-50.0, -25.0), (-25.0, 0.0), (0.0, 25.0), (25.0, 50.0)],
        category: of_balcony,
    },
];

/// The last row is reached without a step. Its ends have room for wheelchairs and companions.
fn of_stalls(row: usize, seat: usize, seats: usize) -> &'static str {
    match row {
        19 if seat < 6 || seat + 6 >= seats => ACCESSIBLE,
        0..9 => PREMIUM,
        _ => STANDARD,
    }
}

fn of_side(row: usize, _seat: usize, _seats: usize) -> &'static str {
    if row < 5 { STANDARD } else { ECONOMY }
}

fn of_balcony(row: usize, _seat: usize, _seats: usize) -> &'static str {
    if row < 2 { STANDARD } else { ECONOMY }
}

/// Writes the plan to the file that the server embeds.
pub(crate) fn run() -> Outcome {
    let path = file();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, plan())?;
    println!("wrote {}", path.display());
    Ok(ExitCode::SUCCESS)
}

fn file() -> PathBuf {
    workspace::root().join("crates/server/demo/venue.json")
}

/// The plan, with one seat per line to keep diffs readable.
fn plan() -> String {
    let categories = CATEGORIES.map(|(name, color)| format!(r#"    {{ "name": "{name}", "color": "{color}" }}"#));
    let (width, height) = SIZE;
    format!(
        r#"{{
  "name": "Encore Hall",
  "size": {{ "width": {width}, "height": {height} }},
  "categories": [
{}
  ],
  "zones": [
{}
  ]
}}
"#,
        categories.join(",\n"),
        BLOCKS.map(|block| zone(&block)).join(",\n"),
    )
}

fn zone(block: &Block) -> String {
    let rows: Vec<String> = (0..block.rows).map(|at| row(block, at)).collect();
    let Block { name, prefix, .. } = block;
    format!(
        r#"    {{
      "name": "{name}",
      "zone_id": "{prefix}",
      "position": {},
      "rows": [
{}
      ]
    }}"#,
        position(CENTER),
        rows.join(",\n"),
    )
}

fn row(block: &Block, at: usize) -> String {
    let label = char::from(ROW_LABELS[at]);
    let radius = radius(block, at);
    let angles = angles(block.parts, radius);
    let mut seats = String::new();
    for (seat, angle) in angles.iter().enumerate() {
        // Positions are relative to the middle of the row's arc.
        let place = position(Point { x: radius * angle.sin(), y: radius * angle.cos() - radius });
        let category = (block.category)(at, seat, angles.len());
        let (prefix, number) = (block.prefix, seat + 1);
        let kept = if category == ACCESSIBLE { r#", "accessible": true"# } else { "" };
        let comma = if number < angles.len() { "," } else { "" };
        let _ = writeln!(
            seats,
            r#"            {{ "seat_guid": "{prefix}-{label}-{number}", "seat_number": "{number}", "position": {place}, "category": "{category}"{kept} }}{comma}"#,
        );
    }
    format!(
        r#"        {{
          "row_number": "{label}",
          "position": {},
          "seats": [
{seats}          ]
        }}"#,
        position(Point { x: 0.0, y: radius }),
    )
}

fn radius(block: &Block, row: usize) -> f64 {
    (0..row).fold(block.radius, |radius, _| radius + ROW_PITCH)
}

/// The angles of the seats of an arc, in radians from the middle line.
fn angles(parts: &[(f64, f64)], radius: f64) -> Vec<f64> {
    let part = |(from, to): &(f64, f64)| angles_between(from * PI / 180.0, to * PI / 180.0, SEAT_PITCH / radius);
    parts.iter().flat_map(part).collect()
}

/// As many seats as fit, centred, with half an aisle free at both ends.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a row has some dozens of seats")]
fn angles_between(from: f64, to: f64, pitch: f64) -> Vec<f64> {
    let seats = ((to - from) / pitch - (AISLE_SEATS - 1.0)).floor() as u32;
    let first = f64::midpoint(from, to) - f64::from(seats - 1) * pitch / 2.0;
    (0..seats).map(|seat| first + f64::from(seat) * pitch).collect()
}

/// Rounds to tenths of a pixel: finer than a screen shows, and equal on every machine.
fn position(Point { x, y }: Point) -> String {
    // Adding zero turns −0 into 0.
    let tenths = |value: f64| (value * 10.0).round() / 10.0 + 0.0;
    format!(r#"{{ "x": {:.1}, "y": {:.1} }}"#, tenths(x), tenths(y))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_file_is_what_the_generator_writes() {
        let committed = fs::read_to_string(file()).expect("a committed plan");
        assert!(committed == plan(), "run `cargo xtask demo-venue` and commit the file");
    }

    #[test]
    fn neighbours_sit_a_pitch_apart_and_an_aisle_is_wider() {
        let radius = 460.0;
        let angles = angles(BLOCKS[0].parts, radius);
        let gaps: Vec<f64> = angles.windows(2).map(|pair| (pair[1] - pair[0]) * radius / SEAT_PITCH).collect();
        let (aisles, pitches): (Vec<f64>, Vec<f64>) = gaps.into_iter().partition(|gap| *gap > 1.01);
        assert!(pitches.iter().all(|gap| (gap - 1.0).abs() < 1e-9), "{pitches:?}");
        assert!(matches!(aisles[..], [aisle] if (2.0..3.0).contains(&aisle)), "{aisles:?}");
    }
}
