use super::*;

#[test]
fn a_long_list_of_violations_fits_into_a_header() {
    let violations: Vec<_> =
        (0..1_000).map(|n| Violation::new(format!("plan_json$.zones[{n}]"), "must not be empty")).collect();
    let status = status(AppError::Invalid(violations));
    assert!(status.details().len() < 8_192, "{} bytes", status.details().len());
    let details = status.get_error_details();
    let bad_request = details.bad_request().expect("a list of violations");
    let last = bad_request.field_violations.last().expect("the number of omitted violations");
    assert!(last.description.starts_with("and 8"), "{}", last.description);
}

#[test]
fn taken_seats_with_the_longest_names_fit_into_a_header() {
    let names: Vec<String> = (0..8).map(|n| format!("{n:064}")).collect();
    let alternatives = vec![names.clone(); 3];
    let status = status(AppError::SeatsTaken { seat_ids: names, version: Some(u64::MAX), alternatives });
    assert!(status.details().len() < 6_000, "{} bytes", status.details().len());
    assert_eq!(status.get_error_details().precondition_failure().map(|it| it.violations.len()), Some(8));
}

#[test]
fn a_section_of_seats_with_the_longest_names_fits_into_a_header() {
    let seat_ids: Vec<String> = (0..1_000).map(|n| format!("{n:064}")).collect();
    let status = status(AppError::SeatsNotBlocked { seat_ids });
    assert!(status.details().len() < 6_000, "{} bytes", status.details().len());
    let details = status.get_error_details();
    assert_eq!(details.error_info().and_then(|info| info.metadata.get("seats").cloned()).as_deref(), Some("1000"));
    assert!(details.precondition_failure().is_some_and(|it| it.violations.len() >= 20));
}

#[test]
fn an_unavailable_store_is_reported_with_a_retry_delay() {
    let status = status(AppError::Unavailable(encore_domain::error::Unavailable::of("redis")));
    assert_eq!(status.code(), Code::Unavailable);
    let details = status.get_error_details();
    assert_eq!(details.retry_info().and_then(|retry| retry.retry_delay), Some(RETRY_AFTER_UNAVAILABLE));
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("STORE_UNAVAILABLE"));
}

#[test]
fn the_text_of_an_internal_error_is_not_sent_to_clients() {
    let status = status(AppError::Internal("the salt of user 7".into()));
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("salt"));
}

#[test]
fn a_value_that_a_store_refuses_is_no_outage() {
    let refused = encore_domain::error::Unavailable::defect("postgres", "timestamp out of range: 4714 BC");
    let status = status(AppError::Unavailable(refused));
    assert_eq!(status.code(), Code::Internal);
    let details = status.get_error_details();
    assert_eq!(details.error_info().map(|info| info.reason.as_str()), Some("INTERNAL"));
    assert!(details.retry_info().is_none() && !status.message().contains("4714"));
}
