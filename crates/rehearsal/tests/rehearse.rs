//! `encore-rehearse`, as the real binary, with small numbers: its exit codes and its report.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

mod server;

/// A small sale that is over in a moment.
const SMALL: [&str; 8] = ["--fans", "60", "--seats", "40", "--think-ms", "50", "--dither", "0"];
const SECRET: &str = "nobody-may-read-this";

/// The folder of a test, empty at its beginning.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rehearse-{name}"));
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn rehearse(out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_encore-rehearse"));
    command.arg("--encore").arg(server::program()).arg("--out").arg(out).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("the binary starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(out: &Path) -> Value {
    let text = fs::read_to_string(out.join("report.json")).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

/// A figure of the report by its name.
fn figure(report: &Value, name: &str) -> Option<f64> {
    let figures = report["figures"].as_array().expect("figures");
    figures.iter().find(|figure| figure["name"] == name).and_then(|figure| figure["value"].as_f64())
}

/// How many things the auditor or the consistency checker examined.
fn examined(report: &Value, by: &str) -> u64 {
    let promises = report["proof"]["promises"].as_array().expect("promises");
    promises.iter().filter(|it| it["examined_by"] == by).filter_map(|it| it["examined"].as_u64()).sum()
}

#[test]
fn a_small_sale_on_embedded_stores_is_proven_and_reported() {
    let out = folder("embedded");
    let secret = ["--operator-password", SECRET];
    let output = run(rehearse(&out).args(SMALL).args(["--arrive-within", "1", "--embedded", "--json"]).args(secret));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told: Value = serde_json::from_slice(&output.stdout).expect("nothing but JSON on standard output");
    assert_eq!(told, report(&out));
    assert!(figure(&told, "seats sold").is_some_and(|seats| seats > 0.0), "{told:#}");
    assert!(told["timeline"].as_array().and_then(|it| it.last()).is_some_and(|it| it["seats_sold"].as_u64() > Some(0)));
    assert!(examined(&told, "auditor") > 0 && examined(&told, "checker") > 0, "{told:#}");
    assert_eq!(told["proof"]["unexamined"], Value::Array(Vec::new()));
    assert_eq!(told["interrupted"], false);
    assert!(fs::read_to_string(out.join("report.html")).expect("a page").contains("<html"));
    for text in [String::from_utf8_lossy(&output.stdout).into_owned(), told.to_string()] {
        assert!(!text.contains(SECRET), "a password in the report");
    }
    assert!(told["command"].as_str().is_some_and(|line| line.contains("--operator-password xxxxx")), "{told:#}");
}

/// A rehearsal under way, with a reader of what it says.
struct Running {
    child: Child,
    says: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let says = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, says }
    }

    fn until(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert_ne!(self.says.read_line(&mut line).expect("text"), 0, "it ended before {what:?}");
        }
    }

    /// Ctrl-C, and what it says and ends with.
    fn interrupt(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", r#"kill -INT "$1""#, "sh", &pid]).status().expect("a shell");
        assert!(sent.success());
        let mut rest = String::new();
        self.says.read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("an end"), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ctrl_c_ends_it_with_the_report_so_far() {
    let out = folder("interrupted");
    let mut running = Running::start(rehearse(&out).args(SMALL).args(["--embedded", "--arrive-within", "600"]));
    running.until("the sale opens");
    let (status, says) = running.interrupt();
    assert_eq!(status.code(), Some(0), "{says}");
    assert_eq!(report(&out)["interrupted"], true);
    assert!(out.join("report.html").exists());
}

#[test]
fn ctrl_c_before_the_sale_ends_it_too() {
    let out = folder("not-begun");
    let mut running = Running::start(rehearse(&out).arg("--local"));
    running.until("starting the environment");
    let (status, says) = running.interrupt();
    assert_eq!(status.code(), Some(1), "{says}");
    assert!(says.contains("ended before it began"), "{says}");
}

#[test]
fn what_does_not_go_together_is_named() {
    let out = folder("usage");
    let output = run(rehearse(&out).args(["hold", "--local", "--kill"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--kill"), "{}", stderr(&output));
    assert!(!out.exists(), "nothing was begun");
}

#[test]
fn a_folder_that_cannot_be_made_is_told_before_the_sale() {
    let out = folder("no-folder");
    fs::write(&out, "a file").expect("a file");
    let output = run(rehearse(&out).args(SMALL).arg("--embedded"));
    fs::remove_file(&out).expect("a file");
    assert_eq!(output.status.code(), Some(1));
    assert!(!stderr(&output).contains("the sale opens"), "{}", stderr(&output));
}

#[test]
fn a_killed_instance_comes_back_in_the_middle_of_a_sale() {
    let out = folder("kill");
    let environment = ["--local", "--instances", "2", "--kill", "--pool", "4", "--connections", "2"];
    let output = run(rehearse(&out).args(SMALL).args(["--arrive-within", "2"]).args(environment));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = report(&out);
    let (killed, back) = (figure(&report, "instance killed after"), figure(&report, "instance serves again after"));
    assert!(killed.is_some() && killed < back, "{report:#}");
    assert!(figure(&report, "used by the instances").is_some_and(|cores| cores > 0.0));
    assert!(examined(&report, "auditor") > 0);
}

#[test]
fn a_kill_that_could_not_be_tried_is_no_success() {
    let out = folder("no-kill");
    let few = ["--fans", "2", "--seats", "400", "--arrive-within", "0", "--think-ms", "0", "--dither", "0"];
    let output = run(rehearse(&out).args(few).args(["--local", "--kill", "--pool", "4", "--connections", "1"]));
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("nobody was killed"), "{}", stderr(&output));
    let report = report(&out);
    assert_eq!(figure(&report, "instance killed after"), None);
    assert_eq!(report["proof"]["unexamined"].as_array().map(Vec::len), Some(1), "{report:#}");
}

#[test]
fn holds_are_compared_with_baselines_pair_by_pair_within_the_seconds() {
    let out = folder("pairs");
    let small = ["--fans", "200", "--pool", "4", "--connections", "2", "--in-flight", "8"];
    let begun = Instant::now();
    let output = run(rehearse(&out).args(["hold", "--local", "--seconds", "60", "--pairs", "2", "--json"]).args(small));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    let report = report(&out);
    let comparisons = report["comparisons"].as_array().expect("comparisons");
    let against: Vec<_> = comparisons.iter().filter_map(|it| it["baseline"].as_str()).collect();
    assert_eq!(against, ["for-update hold", "optimistic hold", "redis-lock hold", "commits", "redis", "transport"]);
    for comparison in comparisons {
        let pairs = comparison["pairs"].as_array().expect("pairs");
        assert!(pairs.len() >= 2, "{comparison:#}");
        assert_ne!(pairs[0]["scenario_first"], pairs[1]["scenario_first"], "the order changes");
    }
}

#[test]
fn two_builds_are_compared_in_turns() {
    let out = folder("against");
    // The same build twice: the ratio is about one, whatever the machine does.
    let other = env!("CARGO_BIN_EXE_encore-rehearse");
    let small = ["--fans", "500", "--connections", "2", "--in-flight", "8", "--phase-seconds", "1"];
    let mut command = rehearse(&out);
    command.args(["join", "--embedded", "--against", other, "--pairs", "1", "--seconds", "120", "--json"]).args(small);
    let output = run(&mut command);
    let told: Value = serde_json::from_slice(&output.stdout).expect("nothing but JSON on standard output");
    assert_eq!(output.status.code(), Some(0), "{} {told:#}", stderr(&output));
    let written = fs::read_to_string(out.join("against.json")).expect("a report");
    assert_eq!(told, serde_json::from_str::<Value>(&written).expect("JSON"));
    let comparison = &told["comparisons"][0];
    assert_eq!(comparison["figure"], "saturated JoinQueue");
    assert!(comparison["pairs"].as_array().is_some_and(|pairs| !pairs.is_empty()), "{told:#}");
    for build in ["a", "b"] {
        assert!(told[build]["version"].as_str().is_some_and(|version| version.starts_with("encore-rehearse ")));
        assert!(told[build]["server_sha256"].as_str().is_some_and(|hash| hash.len() == 12), "{told:#}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let out = folder("no-server");
    let mut command = Command::new(env!("CARGO_BIN_EXE_encore-rehearse"));
    let output = run(command.args(["--encore", "/nowhere/encore", "--out"]).arg(&out).stdin(Stdio::null()));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nowhere/encore") && stderr(&output).contains("--encore"), "{}", stderr(&output));
}
