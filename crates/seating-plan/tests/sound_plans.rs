//! Plans that are read, and the charts that they become.

#![expect(clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;

use encore_domain::catalog::drawing::{Outline, Point, Shape, ShapeText, Size};
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
fn focal_points_are_in_the_pixels_of_the_plan() {
    let zone = |guid, focal_point| {
        let rows = json!([{ "row_number": "A", "seats": [seat(guid, "1", 0.0)] }]);
        json!({ "name": guid, "position": { "x": 100, "y": 0 }, "rows": rows, "focal_point": focal_point })
    };
    let stage = json!({ "position": { "x": 0, "y": 0 }, "rows": [] });
    let mut of_zones = plan(&json!([stage, zone("1", Value::Null), zone("2", json!({ "x": 7.5, "y": -3 }))]));
    of_zones["focal_point"] = json!({ "x": 400, "y": 20.25 });
    let focal_points = read_value(&of_zones).chart.focal_points().clone();
    assert_eq!(focal_points.plan, Some(Point { x: 400.0, y: 20.25 }));
    let of_section = Point { x: 7.5, y: -3.0 };
    assert_eq!(focal_points.sections, BTreeMap::from([(1, of_section)]), "a zone that is skipped is no section");
}

#[test]
fn the_drawing_has_the_size_and_the_shapes_of_all_zones() {
    let at = |x: u32, y: u32| json!({ "x": x, "y": y });
    let shapes = json!([
        { "shape": "rectangle", "position": at(10, 20), "rectangle": { "width": 80, "height": 30 }, "rotation": 45,
          "color": "#eee", "border_color": "black", "uuid": "u",
          "text": { "text": "Main Stage", "position": at(40, 15), "color": "#111", "size": 20 } },
        { "shape": "polygon", "polygon": { "points": [at(0, 0), at(5, 0), at(0, 5)] } },
        { "shape": "ellipse", "position": at(1, 2), "ellipse": { "radius": at(3, 4) } },
        { "shape": "circle", "position": at(1, 2), "circle": { "radius": 6 } },
        { "shape": "text", "position": at(1, 2), "text": { "text": "Bar\n1", "position": at(0, 0) } },
        { "width": 9, "height": 8, "position": at(0, 0), "text": "the first version of the format" },
    ]);
    let rows = json!([{ "row_number": "A", "seats": [seat("1", "1", 0.0)] }]);
    let seated = json!({ "position": at(0, 0), "rows": rows });
    let mut drawn = plan(&json!([{ "position": at(100, 0), "rows": [], "areas": shapes }, seated]));
    drawn["size"] = json!({ "width": 800, "height": 600 });
    let plan = read_value(&drawn);
    let drawing = plan.chart.drawing();
    assert_eq!(drawing.size, Some(Size { width: 800.0, height: 600.0 }));
    let outlines: Vec<&Outline> = drawing.shapes.iter().map(|shape| &shape.outline).collect();
    let point = |x, y| Point { x, y };
    let expected = [
        Outline::Rectangle(Size { width: 80.0, height: 30.0 }),
        Outline::Polygon(vec![point(0.0, 0.0), point(5.0, 0.0), point(0.0, 5.0)]),
        Outline::Ellipse(point(3.0, 4.0)),
        Outline::Circle(6.0),
        Outline::Text,
        Outline::Rectangle(Size { width: 9.0, height: 8.0 }),
    ];
    assert_eq!(outlines, expected.iter().collect::<Vec<_>>());
    let stage = Shape {
        outline: expected[0].clone(),
        position: point(110.0, 20.0),
        rotation: 45.0,
        color: "#eee".into(),
        border_color: "black".into(),
        text: Some(ShapeText {
            text: "Main Stage".into(),
            color: "#111".into(),
            position: point(40.0, 15.0),
            size: Some(20.0),
        }),
        is_stage: true,
    };
    assert_eq!(drawing.shapes[0], stage);
    assert!(drawing.shapes[1..].iter().all(|shape| !shape.is_stage));
    assert_eq!(drawing.shapes[1].position, point(100.0, 0.0), "a shape without a position is where its zone is");
    let texts = drawing.shapes[4..].iter().filter_map(|shape| Some(shape.text.as_ref()?.text.as_str()));
    assert_eq!(texts.collect::<Vec<_>>(), ["Bar 1", "the first version of the format"]);
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
