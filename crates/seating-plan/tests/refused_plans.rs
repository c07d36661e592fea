//! Plans that are refused: for each rule, a plan that breaks it and the path of the violation.

#![expect(clippy::expect_used, reason = "tests")]

use encore_domain::catalog::seat_chart::{
    CHART_NAME_MAX_LEN, GRADES_PER_VENUE_MAX, SEATS_PER_VENUE_MAX, SECTIONS_PER_VENUE_MAX,
};
use encore_seating_plan::{PlanViolation, VIOLATIONS_MAX, read};
use serde_json::{Value, json};

/// A plan of one zone with a row of two seats and a row of one.
fn sound() -> Value {
    let seat = |guid: &str, number: &str, x: u32| json!({ "seat_guid": guid, "seat_number": number, "position": { "x": x, "y": 0 }, "category": "Stalls" });
    let zero = json!({ "x": 0, "y": 0 });
    json!({
        "name": "PerformanceContext",
        "categories": [{ "name": "Stalls", "color": "#000" }, { "name": "Circle" }],
        "zones": [{ "name": "Main", "position": zero, "focal_point": null, "rows": [
            { "row_number": "A", "position": zero, "seats": [seat("a-1", "1", 0), seat("a-2", "2", 1)] },
            { "row_number": "B", "seats": [seat("b-1", "1", 0)] },
        ] }],
    })
}

fn violations(plan: &Value) -> Vec<PlanViolation> {
    read(&plan.to_string()).expect_err("a plan with a violation")
}

/// The sound plan with one value changed, at a JSON pointer.
fn changed(pointer: &str, value: Value) -> Value {
    let mut plan = sound();
    *plan.pointer_mut(pointer).expect("a value of the sound plan") = value;
    plan
}

/// The sound plan with one key taken out.
fn without(pointer: &str, key: &str) -> Value {
    let mut plan = sound();
    let object = plan.pointer_mut(pointer).and_then(Value::as_object_mut).expect("an object of the sound plan");
    object.remove(key).expect("a key of the object");
    plan
}

#[track_caller]
fn assert_refused(plan: &Value, path: &str, rule: &str) {
    let expected = PlanViolation { path: path.into(), rule: rule.into() };
    assert_eq!(violations(plan), [expected]);
}

#[test]
fn the_plan_that_the_others_are_made_from_is_read() {
    assert!(read(&sound().to_string()).is_ok());
}

#[test]
fn what_is_not_json_is_refused_with_line_and_column() {
    let refused = read("{\n  \"name\": oops }").expect_err("not JSON");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].path, "$");
    assert_eq!(refused[0].rule, "is not JSON: expected value at line 2 column 11");
    for text in ["", "{", "{} {}", r#"{ "name": 1e999 }"#] {
        let refused = read(text).expect_err("not JSON");
        assert!(refused[0].rule.starts_with("is not JSON: "), "{text:?}: {}", refused[0].rule);
    }
}

#[test]
fn a_value_of_another_type_is_refused() {
    let cases = [
        ("", "$", "must be an object"),
        ("/name", "$.name", "must be a string"),
        ("/categories", "$.categories", "must be an array"),
        ("/zones", "$.zones", "must be an array"),
        ("/zones/0", "$.zones[0]", "must be an object"),
        ("/zones/0/name", "$.zones[0].name", "must be a string"),
        ("/zones/0/position", "$.zones[0].position", "must be an object"),
        ("/zones/0/rows", "$.zones[0].rows", "must be an array"),
        ("/zones/0/rows/1", "$.zones[0].rows[1]", "must be an object"),
        ("/zones/0/rows/0/position", "$.zones[0].rows[0].position", "must be an object"),
        ("/zones/0/focal_point", "$.zones[0].focal_point", "must be an object"),
        ("/zones/0/rows/0/row_number", "$.zones[0].rows[0].row_number", "must be a string"),
        ("/zones/0/rows/0/seats", "$.zones[0].rows[0].seats", "must be an array"),
        ("/zones/0/rows/0/seats/1", "$.zones[0].rows[0].seats[1]", "must be an object"),
        ("/zones/0/rows/0/seats/1/seat_guid", "$.zones[0].rows[0].seats[1].seat_guid", "must be a string"),
        ("/zones/0/rows/0/seats/1/seat_number", "$.zones[0].rows[0].seats[1].seat_number", "must be a string"),
        ("/zones/0/rows/0/seats/1/category", "$.zones[0].rows[0].seats[1].category", "must be a string"),
    ];
    for (pointer, path, rule) in cases {
        let found = violations(&changed(pointer, json!(7)));
        let expected = PlanViolation { path: path.into(), rule: rule.into() };
        assert!(found.contains(&expected), "{pointer}: {found:?}");
    }
    assert_refused(&changed("/categories/0/color", json!(7)), "$.categories[0].color", "must be a string");
    let place = "/zones/0/rows/0/seats/1/position/x";
    assert_refused(&changed(place, json!("7")), "$.zones[0].rows[0].seats[1].position.x", "must be a number");
}

#[test]
fn a_missing_key_is_refused() {
    let seat = "/zones/0/rows/0/seats/1";
    let cases = [
        ("", "name", "$.name"),
        ("", "zones", "$.zones"),
        ("/zones/0", "position", "$.zones[0].position"),
        ("/zones/0", "rows", "$.zones[0].rows"),
        ("/zones/0/rows/0", "row_number", "$.zones[0].rows[0].row_number"),
        ("/zones/0/rows/0", "seats", "$.zones[0].rows[0].seats"),
        ("/categories/1", "name", "$.categories[1].name"),
        (seat, "seat_guid", "$.zones[0].rows[0].seats[1].seat_guid"),
        (seat, "seat_number", "$.zones[0].rows[0].seats[1].seat_number"),
        (seat, "position", "$.zones[0].rows[0].seats[1].position"),
        (seat, "category", "$.zones[0].rows[0].seats[1].category"),
        ("/zones/0/rows/0/seats/1/position", "y", "$.zones[0].rows[0].seats[1].position.y"),
    ];
    for (pointer, key, path) in cases {
        assert_refused(&without(pointer, key), path, "is missing");
    }
}

#[test]
fn null_under_a_required_key_is_refused() {
    let plan = changed("/zones/0/rows/0/seats/1/category", Value::Null);
    assert_refused(&plan, "$.zones[0].rows[0].seats[1].category", "must be a string");
}

#[test]
fn a_duplicate_guid_is_refused_with_the_path_of_the_first() {
    let plan = changed("/zones/0/rows/1/seats/0/seat_guid", json!("a-2"));
    let rule = "is the guid of $.zones[0].rows[0].seats[1] already";
    assert_refused(&plan, "$.zones[0].rows[1].seats[0].seat_guid", rule);
}

#[test]
fn a_duplicate_number_in_a_row_is_refused() {
    let plan = changed("/zones/0/rows/0/seats/1/seat_number", json!("1"));
    let rule = "is the number of $.zones[0].rows[0].seats[0] already";
    assert_refused(&plan, "$.zones[0].rows[0].seats[1].seat_number", rule);
}

#[test]
fn a_seat_of_an_unknown_category_is_refused() {
    let plan = changed("/zones/0/rows/0/seats/1/category", json!("stalls"));
    assert_refused(&plan, "$.zones[0].rows[0].seats[1].category", "must be the name of a category of the plan");
}

#[test]
fn a_duplicate_category_is_refused() {
    for name in ["Stalls", " Stalls\u{A0}"] {
        let plan = changed("/categories/1/name", json!(name));
        assert_refused(&plan, "$.categories[1].name", "is the name of $.categories[0] already");
    }
}

#[test]
fn an_empty_array_is_refused() {
    assert_refused(&changed("/zones", json!([])), "$.zones", "must not be empty");
    let found = violations(&changed("/categories", json!([])));
    assert_eq!(found[0], PlanViolation { path: "$.categories".into(), rule: "must not be empty".into() });
}

#[test]
fn a_plan_that_sells_nothing_is_refused() {
    let rule = "must have a seat or a general admission area";
    assert_refused(&changed("/zones/0/rows", json!([])), "$.zones", rule);
    let mut plan = changed("/zones/0/rows/0/seats", json!([]));
    plan["zones"][0]["rows"][1]["seats"] = json!([]);
    assert_refused(&plan, "$.zones", rule);
}

#[test]
fn a_name_beyond_the_limits_is_refused() {
    let paths = [
        ("/zones/0/name", "$.zones[0].name"),
        ("/zones/0/rows/0/row_number", "$.zones[0].rows[0].row_number"),
        ("/zones/0/rows/0/seats/1/seat_guid", "$.zones[0].rows[0].seats[1].seat_guid"),
        ("/zones/0/rows/0/seats/1/seat_number", "$.zones[0].rows[0].seats[1].seat_number"),
        ("/categories/1/name", "$.categories[1].name"),
    ];
    let rule = "must be 1 to 64 bytes, not blank, without control, invisible or unassigned characters";
    for (pointer, path) in paths {
        for name in [" ".into(), "x".repeat(CHART_NAME_MAX_LEN + 1), "é".repeat(33), "a\nb".into(), "a\u{AD}b".into()]
        {
            assert_refused(&changed(pointer, Value::from(name)), path, rule);
        }
        let longest = changed(pointer, Value::from("x".repeat(CHART_NAME_MAX_LEN)));
        assert!(read(&longest.to_string()).is_ok(), "{path}");
    }
    assert_refused(&changed("/categories/1/name", json!("")), "$.categories[1].name", rule);
    let title = "must be 1 to 200 characters without control, invisible or unassigned characters";
    assert_refused(&changed("/name", json!(" ")), "$.name", title);
}

#[test]
fn an_infinite_position_is_refused() {
    let mut plan = changed("/zones/0/position/x", json!(1e308));
    plan["zones"][0]["rows"][0]["seats"][1]["position"]["x"] = json!(1e308);
    assert_refused(&plan, "$.zones[0].rows[0].seats[1].position", "must be finite when added to its row and zone");
}

#[test]
fn more_grades_than_a_venue_may_have_are_refused() {
    let names =
        (0..=GRADES_PER_VENUE_MAX).map(|at| json!({ "name": if at == 0 { "Stalls".into() } else { at.to_string() } }));
    let plan = changed("/categories", names.collect());
    assert_refused(&plan, "$.categories", "must have at most 100 categories");
}

#[test]
fn more_sections_than_a_venue_may_have_are_refused() {
    let zone = |at: usize| {
        let mut zone = sound()["zones"][0].clone();
        zone["rows"] = json!([zone["rows"][1]]);
        zone["rows"][0]["seats"][0]["seat_guid"] = json!(at.to_string());
        zone
    };
    let plan = changed("/zones", (0..=SECTIONS_PER_VENUE_MAX).map(zone).collect());
    assert_refused(&plan, "$.zones", "must have at most 1000 zones");
}

#[test]
fn more_seats_than_a_venue_may_have_are_refused() {
    let seat = |at: usize| {
        let place = json!({ "x": at, "y": 0 });
        json!({ "seat_guid": at.to_string(), "seat_number": at.to_string(), "position": place, "category": "Stalls" })
    };
    let mut plan = sound();
    plan["zones"][0]["rows"] =
        json!([{ "row_number": "A", "seats": (0..=SEATS_PER_VENUE_MAX).map(seat).collect::<Value>() }]);
    assert_refused(&plan, "$.zones", "must have at most 100000 seats and units of general admission in all");
}

#[test]
fn accessible_must_be_a_boolean_in_any_spelling() {
    for (key, value) in [("accessible", json!("yes")), ("accessible", json!(1)), ("wheelchair", json!({}))] {
        let mut plan = sound();
        plan["zones"][0]["rows"][0]["seats"][0][key] = value;
        assert_refused(&plan, &format!("$.zones[0].rows[0].seats[0].{key}"), "must be true or false");
    }
}

#[test]
fn every_violation_is_listed_in_the_order_of_the_plan() {
    let mut plan = sound();
    plan["name"] = json!(1);
    plan["categories"][1]["name"] = json!("Stalls");
    plan["zones"][0]["position"] = json!({ "x": "left" });
    plan["zones"][0]["rows"][0]["seats"][0]["category"] = json!("Pit");
    plan["zones"][0]["rows"][1] = json!([]);
    let paths: Vec<String> = violations(&plan).into_iter().map(|violation| violation.path).collect();
    let expected = [
        "$.name",
        "$.categories[1].name",
        "$.zones[0].position.x",
        "$.zones[0].position.y",
        "$.zones[0].rows[0].seats[0].category",
        "$.zones[0].rows[1]",
    ];
    assert_eq!(paths, expected);
}

#[test]
fn the_list_is_bounded_and_its_last_entry_counts_the_rest() {
    let rows = |seats: usize| changed("/zones/0/rows/1/seats", (0..seats).map(|_| json!(null)).collect());
    let full = violations(&rows(VIOLATIONS_MAX));
    assert_eq!(full.len(), VIOLATIONS_MAX);
    assert_eq!(full[VIOLATIONS_MAX - 1].rule, "must be an object", "all of them have room");
    let over = violations(&rows(VIOLATIONS_MAX + 1));
    assert_eq!(over.len(), VIOLATIONS_MAX);
    assert_eq!(over[VIOLATIONS_MAX - 1].to_string(), "$ has 2 more violations, which are not listed");
}

/// The sound plan with one more zone, which is a general admission area.
fn with_area(name: &str, area: &Value) -> Value {
    let mut plan = sound();
    let zone = json!({ "name": name, "position": { "x": 0, "y": 9 }, "general_admission": area });
    plan["zones"].as_array_mut().expect("zones").push(zone);
    plan
}

#[test]
fn a_general_admission_area_has_a_capacity_and_a_category() {
    let floor = |area: Value| with_area("Floor", &area);
    let sound = json!({ "capacity": 300, "category": "Circle" });
    assert!(read(&floor(sound.clone()).to_string()).is_ok());
    assert_refused(&floor(json!(300)), "$.zones[1].general_admission", "must be an object");
    assert_refused(&floor(json!({ "category": "Circle" })), "$.zones[1].general_admission.capacity", "is missing");
    for capacity in [json!(0), json!(-1), json!(2.5), json!(100_001), json!("300")] {
        let rule = "must be a whole number from 1 to 100000";
        let plan = floor(json!({ "capacity": capacity, "category": "Circle" }));
        assert_refused(&plan, "$.zones[1].general_admission.capacity", rule);
    }
    let unknown = floor(json!({ "capacity": 300, "category": "Pit" }));
    assert_refused(&unknown, "$.zones[1].general_admission.category", "must be the name of a category of the plan");
    let mut seated = floor(sound.clone());
    seated["zones"][1]["rows"] = seated["zones"][0]["rows"].clone();
    assert_refused(&seated, "$.zones[1].rows", "must be absent or empty in a general admission area");
    let crowded = floor(json!({ "capacity": 99_998, "category": "Circle" }));
    assert_refused(&crowded, "$.zones", "must have at most 100000 seats and units of general admission in all");
}

#[test]
fn the_names_of_an_area_and_of_its_units_are_taken() {
    let area = json!({ "capacity": 300, "category": "Circle" });
    let rule = "is the name of $.zones[0] already, and one of them is a general admission area";
    for name in ["Main", "Main ", " Ma\u{69}n"] {
        assert_refused(&with_area(name, &area), "$.zones[1].name", rule);
    }
    let rule = "must not have the form of the id of a unit of general admission";
    let plan = changed("/zones/0/rows/1/seats/0/seat_guid", json!("unit-12"));
    assert_refused(&plan, "$.zones[0].rows[1].seats[0].seat_guid", rule);
}
