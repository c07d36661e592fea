//! Plans that are read, and the charts that they become.

#![expect(clippy::expect_used, reason = "tests")]

use encore_seating_plan::{SeatingPlan, read};
use serde_json::{Value, json};

fn read_value(plan: &Value) -> SeatingPlan {
    read(&plan.to_string()).expect("a sound plan")
}

fn seat(guid: &str, number: &str, x: f64) -> Value {
    json!({ "seat_guid": guid, "seat_number": number, "position": { "x": x, "y": 1 }, "category": "Stalls" })
}

fn plan(zones: &Value) -> Value {
    json!({ "name": "Great PerformanceContext", "categories": [{ "name": "Stalls", "color": "#7f4a91" }], "zones": zones })
}

#[test]
fn the_position_of_a_seat_is_the_sum_of_zone_row_and_seat() {
    let row = json!({ "row_number": "A", "position": { "x": 20.5, "y": 30 }, "seats": [seat("a-1", "1", 7.25)] });
    let bare_row = json!({ "row_number": "B", "seats": [seat("b-1", "1", 7.0)] });
    let plan = read_value(&plan(&json!([{ "position": { "x": 100, "y": 200 }, "rows": [row, bare_row] }])));
    let at = |id| plan.chart.seat(id).map(|seat| (seat.x, seat.y));
    assert_eq!(at("a-1"), Some((127.75, 231.0)));
    assert_eq!(at("b-1"), Some((107.0, 201.0)), "a row without a position adds nothing");
}

#[test]
fn zones_rows_and_categories_become_sections_rows_and_grades() {
    let rows = json!([{ "row_number": "C", "seats": [seat("c-12", "12", 0.0), seat("c-13", "13", 1.0)] }]);
    let plan = read_value(&plan(&json!([{ "name": "Balcony", "position": { "x": 0, "y": 0 }, "rows": rows }])));
    let seat = plan.chart.seat("c-13").expect("a seat of the plan");
    assert_eq!(plan.name.as_str(), "Great PerformanceContext");
    assert_eq!(plan.chart.section_of(seat).name, "Balcony");
    assert_eq!(plan.chart.label_of(seat), "C-13");
    assert_eq!(plan.chart.grade_of(seat).name, "Stalls");
    assert_eq!(plan.chart.grade_of(seat).color, "#7f4a91");
}

#[test]
fn names_that_look_the_same_are_the_same() {
    let zone = |guid, name: &str| {
        let rows = json!([{ "row_number": "A", "seats": [seat(guid, "1", 0.0)] }]);
        json!({ "name": name, "position": { "x": 0, "y": 0 }, "rows": rows })
    };
    let mut plan = plan(&json!([zone("Zo\u{EB}", "Floor"), zone("2", "Floor "), zone("3", "Upper\u{A0} Floor")]));
    plan["categories"][0]["name"] = json!("Stalls ");
    let plan = read_value(&plan);
    let names: Vec<&str> = plan.chart.sections().iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["Floor", "Floor", "Upper Floor"]);
    assert_eq!(plan.chart.grades()[0].name, "Stalls");
    let mut decomposed = plan_of_one_seat("Zoe\u{308}");
    decomposed["zones"][0]["rows"][0]["seats"][0]["seat_number"] = json!(" 1 ");
    let read = read_value(&decomposed);
    assert_eq!(read.chart.seat("Zo\u{EB}").map(|seat| seat.number.as_str()), Some("1"));
}

fn plan_of_one_seat(guid: &str) -> Value {
    let rows = json!([{ "row_number": "A", "seats": [seat(guid, "1", 0.0)] }]);
    plan(&json!([{ "name": "Floor", "position": { "x": 0, "y": 0 }, "rows": rows }]))
}

#[test]
fn accessible_seats_are_marked() {
    let mut seats = ["1", "2", "3", "4"].map(|number| seat(number, number, 0.0));
    for (seat, accessible) in seats.iter_mut().zip([json!(true), json!(false), Value::Null]) {
        seat["accessible"] = accessible;
    }
    let rows = json!([{ "row_number": "A", "seats": seats }]);
    let plan = read_value(&plan(&json!([{ "position": { "x": 0, "y": 0 }, "rows": rows }])));
    let marked: Vec<bool> = plan.chart.seats().iter().map(|seat| seat.accessible).collect();
    assert_eq!(marked, [true, false, false, false]);
}

#[test]
fn a_zone_without_a_name_is_named_by_its_number() {
    let zone = |guid, name: Value| {
        let rows = json!([{ "row_number": "A", "seats": [seat(guid, "1", 0.0)] }]);
        json!({ "name": name, "position": { "x": 0, "y": 0 }, "rows": rows })
    };
    let plan = read_value(&plan(&json!([zone("1", json!("")), zone("2", json!("Box")), zone("3", Value::Null)])));
    let names: Vec<&str> = plan.chart.sections().iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, ["Zone 1", "Box", "Zone 3"]);
}

#[test]
fn unknown_keys_are_ignored_everywhere() {
    let text = r#"{
      "name": "PerformanceContext", "size": { "width": 10, "height": 10 }, "version": 3,
      "categories": [{ "name": "Stalls", "id": 1 }],
      "zones": [{
        "zone_id": "z", "uuid": "u", "position": { "x": 0, "y": 0, "z": 0 },
        "areas": [{ "shape": "rectangle", "position": { "x": 0, "y": 0 }, "text": { "text": "Stage" } }],
        "rows": [{
          "row_number": "A", "row_number_position": "both", "uuid": "u",
          "seats": [{
            "seat_guid": "a-1", "seat_number": "1", "uuid": "u", "radius": 10, "category": "Stalls",
            "position": { "x": 0, "y": 0 }
          }]
        }]
      }]
    }"#;
    let plan = read(text).expect("a sound plan");
    assert_eq!(plan.chart.seats().len(), 1);
    assert_eq!(plan.chart.grades()[0].color, "", "the plan gives no color");
}

#[test]
fn two_rows_of_a_zone_may_have_the_same_number() {
    let row = |guid| json!({ "row_number": "A", "seats": [seat(guid, "1", 0.0)] });
    let plan = read_value(&plan(&json!([{ "position": { "x": 0, "y": 0 }, "rows": [row("left"), row("right")] }])));
    assert_eq!(plan.chart.rows().len(), 2);
}

#[test]
fn a_stadium_of_sixty_thousand_seats_is_read() {
    let row = |zone: usize, row: usize| {
        let seats: Vec<Value> =
            (0..50_u32).map(|n| seat(&format!("{zone}-{row}-{n}"), &n.to_string(), f64::from(n))).collect();
        json!({ "row_number": row.to_string(), "seats": seats })
    };
    let zone = |zone| {
        let rows: Vec<Value> = (0..30).map(|at| row(zone, at)).collect();
        json!({ "name": format!("Block {zone}"), "position": { "x": 0, "y": 0 }, "rows": rows })
    };
    let zones: Vec<Value> = (0..40).map(zone).collect();
    let plan = read_value(&plan(&Value::from(zones)));
    assert_eq!(plan.chart.seats().len(), 60_000);
    assert_eq!(plan.chart.slots(), 60_000 + 1_200 - 1, "one slot parts a row from the next");
}

#[test]
fn a_zone_with_general_admission_becomes_an_area_of_its_capacity() {
    let floor = json!({
        "name": "Floor", "position": { "x": 0, "y": 0 }, "rows": [],
        "general_admission": { "capacity": 20_000, "category": "Stalls" },
    });
    let rows = json!([{ "row_number": "A", "seats": [seat("a-1", "1", 0.0)] }]);
    let seated = json!({ "name": "Box", "position": { "x": 0, "y": 0 }, "rows": rows, "general_admission": null });
    let chart = read_value(&plan(&json!([floor, seated]))).chart;
    assert_eq!((chart.areas().len(), chart.seats().len(), chart.capacity()), (1, 1, 20_001));
    assert_eq!(chart.area_named("Floor"), Some(&chart.areas()[0]));
    let seat = chart.seat("a-1").expect("a seat of the plan");
    assert_eq!(chart.section_of(seat).name, "Box");
}
