//! Plans that are imported otherwise than their authors may expect, and what they are told.

#![expect(clippy::expect_used, reason = "tests")]

use encore_seating_plan::{SeatingPlan, WARNINGS_MAX, read};
use serde_json::{Value, json};

fn at(x: impl Into<f64>, y: impl Into<f64>) -> Value {
    let (x, y): (f64, f64) = (x.into(), y.into());
    json!({ "x": x, "y": y })
}

fn seat(guid: &str, number: &str, x: f64) -> Value {
    json!({ "seat_guid": guid, "seat_number": number, "position": at(x, 0), "category": "Stalls" })
}

/// A row of three seats.
fn row(label: &str, guid: &str) -> Value {
    let seats =
        ["1", "2", "3"].map(|number| seat(&format!("{guid}-{number}"), number, number.parse().expect("a number")));
    json!({ "row_number": label, "seats": seats })
}

fn zone(name: &str, position: &Value, rows: &Value) -> Value {
    json!({ "name": name, "position": position, "rows": rows })
}

fn plan(zones: &Value) -> Value {
    json!({ "name": "Hall", "categories": [{ "name": "Stalls" }], "zones": zones })
}

fn read_value(plan: &Value) -> SeatingPlan {
    read(&plan.to_string()).expect("a sound plan")
}

fn warnings(plan: &Value) -> Vec<String> {
    read_value(plan).warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn a_usual_plan_has_no_warnings() {
    assert_eq!(warnings(&plan(&json!([zone("Main", &at(0, 0), &json!([row("A", "a"), row("B", "b")]))]))), [""; 0]);
}

#[test]
fn what_sells_nothing_is_skipped() {
    let stage = json!({ "position": at(0, 0), "rows": [], "areas": [] });
    let empty = json!({ "row_number": "B", "seats": [] });
    let hollow = zone("Hollow", &at(0, 0), &json!([empty.clone()]));
    let plan = plan(&json!([stage, zone("Main", &at(0, 0), &json!([row("A", "a"), empty])), hollow]));
    let expected = [
        "$.zones[0] sells nothing and is skipped",
        "$.zones[1].rows[1] has no seats and is skipped",
        "$.zones[2].rows[0] has no seats and is skipped",
        "$.zones[2] sells nothing and is skipped",
    ];
    assert_eq!(warnings(&plan), expected);
    let chart = read_value(&plan).chart;
    let sections: Vec<&str> = chart.sections().iter().map(|section| section.name.as_str()).collect();
    assert_eq!((sections, chart.rows().len()), (vec!["Main"], 1));
}

#[test]
fn seats_are_accessible_by_any_of_the_usual_keys() {
    let keys = ["wheelchair", "isAccessible", "companion_seat"];
    let mut row = row("A", "a");
    for (seat, key) in keys.iter().enumerate() {
        row["seats"][seat][*key] = json!(seat != 1);
    }
    let plan = plan(&json!([zone("Main", &at(0, 0), &json!([row]))]));
    assert_eq!(warnings(&plan), [""; 0]);
    let marked: Vec<bool> = read_value(&plan).chart.seats().iter().map(|seat| seat.accessible).collect();
    assert_eq!(marked, [true, false, true]);
}

#[test]
fn a_key_that_is_not_understood_is_told_once() {
    let mut plan =
        plan(&json!([zone("Main", &json!({ "x": 0, "y": 0, "z": 0 }), &json!([row("A", "a"), row("B", "b")]))]));
    plan["version"] = json!(3);
    plan["created"] = Value::Null;
    plan["size"] = json!({ "width": 10, "height": 10, "unit": "px" });
    plan["categories"][0]["id"] = json!(1);
    plan["zones"][0]["standing"] = json!({ "capacity": 300 });
    for row in 0_usize..2 {
        plan["zones"][0]["rows"][row]["row_label"] = json!("Table 1");
        for seat in 0_usize..3 {
            plan["zones"][0]["rows"][row]["seats"][seat]["reserved\nfor"] = json!("guests");
        }
    }
    let expected = [
        "$.version is not understood and is ignored",
        "$.size.unit is not understood and is ignored",
        "$.categories[0].id is not understood and is ignored",
        "$.zones[0].standing is not understood and is ignored",
        "$.zones[0].position.z is not understood and is ignored",
        "$.zones[0].rows[0].row_label is not understood and is ignored, here and in 1 more places",
        "$.zones[0].rows[0].seats[0].reserved\\nfor is not understood and is ignored, here and in 5 more places",
    ];
    assert_eq!(warnings(&plan), expected);
}

#[test]
fn the_keys_that_editors_write_for_themselves_are_not_told() {
    let mut row = row("A", "a");
    for (key, value) in [("uuid", json!("u")), ("row_number_position", json!("both")), ("number_of_seats", json!(3))] {
        row[key] = value;
    }
    for (key, value) in [("uuid", json!("u")), ("radius", json!(10)), ("start_direction", Value::Null)] {
        row["seats"][0][key] = value;
    }
    let mut zone = zone("Main", &at(0, 0), &json!([row]));
    for (key, value) in [("uuid", json!("u")), ("zone_id", json!("z")), ("displayed", json!(true))] {
        zone[key] = value;
    }
    assert_eq!(warnings(&plan(&json!([zone]))), [""; 0]);
}

#[test]
fn what_cannot_be_drawn_is_left_out() {
    let mut zone = zone("Main", &at(0, 0), &json!([row("A", "a")]));
    zone["areas"] = json!([{ "shape": "circle" }, { "shape": "circle", "circle": { "radius": 4 } }, 7, {}]);
    let mut plan = plan(&json!([zone]));
    plan["size"] = json!({ "width": 0, "height": 10 });
    let expected = [
        "$.size has no width and height above zero and is ignored",
        "$.zones[0].areas[0] cannot be drawn and is left out",
        "$.zones[0].areas[2] cannot be drawn and is left out",
        "$.zones[0].areas[3] cannot be drawn and is left out",
    ];
    assert_eq!(warnings(&plan), expected);
    assert_eq!(read_value(&plan).chart.drawing().shapes.len(), 1);
}

#[test]
fn a_row_whose_seats_are_out_of_order_is_sorted_by_its_coordinates() {
    let seats = [("10", 10.0), ("4", 4.0), ("11", 11.0), ("9", 9.0)].map(|(number, x)| seat(number, number, x));
    let plan = plan(&json!([zone("Main", &at(0, 0), &json!([{ "row_number": "5", "seats": seats }]))]));
    let expected =
        "$.zones[0].rows[0].seats are not in the order in which people sit; they are sorted by their positions";
    assert_eq!(warnings(&plan), [expected]);
    let chart = read_value(&plan).chart;
    let slots: Vec<(&str, u32)> = chart.seats().iter().map(|seat| (seat.number.as_str(), seat.slot.0)).collect();
    assert_eq!(slots, [("4", 0), ("9", 2), ("10", 3), ("11", 4)], "an aisle parts 4 from the block of three");
}

#[test]
fn seats_with_one_label_are_told() {
    let left = zone("Main", &at(0, 0), &json!([row("A", "left")]));
    let right = zone("Main", &at(4, 0), &json!([row("A", "right"), row("A", "far")]));
    let other = zone("Balcony", &at(4, 1), &json!([row("A", "up")]));
    let expected = "$.zones has 6 seats whose section, row and number are those of another seat, so that their tickets read \
                    the same; the first are \"left-1\" and \"right-1\", both A-1 in Main";
    assert_eq!(warnings(&plan(&json!([left, right, other]))), [expected]);
}

#[test]
fn a_section_far_from_all_others_is_told() {
    let near = [("A", 0), ("B", 3), ("C", 6)].map(|(name, x)| zone(name, &at(x, 0), &json!([row("A", name)])));
    let far = zone("Balcony", &at(3_000, 40), &json!([row("A", "far")]));
    let zones: Vec<Value> = near.into_iter().chain([far]).collect();
    let expected = "$.zones has the section \"Balcony\" 2992 pixels from the nearest other section";
    assert_eq!(warnings(&plan(&Value::from(zones))), [expected]);
}

#[test]
fn the_list_is_bounded_and_its_last_entry_counts_the_rest() {
    let stage = |_| json!({ "position": at(0, 0), "rows": [] });
    let stages = |count: usize| -> Vec<String> {
        let zones = (0..count).map(stage).chain([zone("Main", &at(0, 0), &json!([row("A", "a")]))]);
        warnings(&plan(&zones.collect()))
    };
    assert_eq!(stages(WARNINGS_MAX).len(), WARNINGS_MAX);
    let over = stages(WARNINGS_MAX + 1);
    assert_eq!(over.len(), WARNINGS_MAX);
    assert_eq!(over[WARNINGS_MAX - 1], "$ has 2 more warnings, which are not listed");
}
