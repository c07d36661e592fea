//! What a person or a program sees at the end: a table in the terminal, and a folder with the same as JSON and as a page.

use std::path::Path;
use std::{fs, io};

#[cfg(test)]
mod fixture;
mod html;
pub mod model;
pub(crate) mod numbers;
mod reading;
mod table;

pub use html::{PlotError, html};
pub use table::table;

use model::Report;

/// The report's file for programs.
pub const JSON_FILE: &str = "report.json";
/// The report's file for people.
pub const HTML_FILE: &str = "report.html";

/// The report as indented JSON, with the fields of [`Report`] in their order. A number that is not finite becomes `null`.
pub fn json(report: &Report) -> serde_json::Result<String> {
    serde_json::to_string_pretty(report)
}

/// Writes [`JSON_FILE`] and [`HTML_FILE`] into the folder, which is made if it is missing; what was there is replaced.
pub fn write(report: &Report, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    // The JSON first: should a plot fail, the numbers are kept.
    fs::write(folder.join(JSON_FILE), json(report)?)?;
    fs::write(folder.join(HTML_FILE), html(report).map_err(io::Error::other)?)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn json_has_the_names_of_the_model() {
        let value: Value = serde_json::from_str(&json(&fixture::journey()).unwrap()).unwrap();
        let mut expected = [
            "scenario",
            "command",
            "seed",
            "started_at",
            "seconds",
            "interrupted",
            "environment",
            "measurements",
            "baselines",
            "comparisons",
            "notes",
            "figures",
            "timeline",
            "marks",
            "proof",
        ];
        expected.sort_unstable();
        assert_eq!(keys(&value), expected);
        assert_eq!(value["measurements"][1]["refusals"]["SEATS_TAKEN"], 18_211);
        assert_eq!(value["measurements"][3]["offered_per_second"], 400.0);
        assert_eq!(value["measurements"][0]["latency"]["curve"][0][0], 0.0);
        assert_eq!(value["measurements"][0]["timed_from"], "call");
        assert_eq!(value["measurements"][3]["timed_from"], "intended_start");
        assert_eq!(value["measurements"][4]["latency"], Value::Null);
        let ratio = &value["comparisons"][0]["ratio"];
        assert_eq!((&ratio["median"], &ratio["pairs"]), (&2.77.into(), &7.into()));
        assert_eq!((&ratio["interval"]["low"], &ratio["interval"]["high"]), (&2.51.into(), &3.02.into()));
        assert_eq!(value["comparisons"][0]["pairs"][0]["scenario_first"], true);
        assert_eq!(value["comparisons"][2]["ratio"], Value::Null);
        assert_eq!(value["timeline"].as_array().unwrap().len(), 240);
        assert_eq!(value["timeline"][239]["seats_sold"], 3_200);
        assert_eq!(value["proof"]["promises"][0]["examined_by"], "auditor");
    }

    #[test]
    fn both_files_are_written_into_a_folder_that_is_made() {
        let root = std::env::temp_dir().join(format!("encore-report-{}", std::process::id()));
        let folder = root.join("of/today");
        let report = fixture::broken_journey();
        let written = write(&report, &folder).and_then(|()| write(&report, &folder));
        let files = [JSON_FILE, HTML_FILE].map(|name| fs::read_to_string(folder.join(name)));
        fs::remove_dir_all(&root).unwrap();
        written.unwrap();
        let [json_file, html_file] = files.map(Result::unwrap);
        assert_eq!(json_file, json(&report).unwrap());
        assert_eq!(html_file, html(&report).unwrap());
    }
}
