//! The binary's `encore import-venue` and `encore revise-venue`, on a database.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::pipe;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use encore_credentials::Keyring;
use encore_domain::catalog::Venue;
use encore_domain::catalog::drawing::Point;
use encore_domain::ids::VenueId;
use encore_port_tests::fixtures::location;
use encore_postgres_store::scratch::ScratchDatabase;
use encore_server::ports::Ports;
use encore_tests::world::variable;
use serde_json::{Value, json};
use uuid::Uuid;

const KEYS: &str = "test:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";

/// A database and a folder for plans, which is removed at the end.
struct Office {
    database: ScratchDatabase,
    folder: PathBuf,
}

impl Drop for Office {
    fn drop(&mut self) {
        let _left = fs::remove_dir_all(&self.folder);
    }
}

impl Office {
    async fn new() -> Self {
        let database = ScratchDatabase::create(&variable("ENCORE_DATABASE_URL")).await;
        let name = database.url().rsplit('/').next().expect("a database name").to_owned();
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        Self { database, folder }
    }

    fn encore(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_encore"));
        command.args(args).env("ENCORE_DATABASE_URL", self.database.url()).env_remove("ENCORE_REDIS_URL");
        command.env("ENCORE_LOG", "error");
        command
    }

    fn plan(&self, plan: &Value) -> String {
        let file = self.folder.join("plan.json");
        fs::write(&file, plan.to_string()).expect("a file");
        file.to_string_lossy().into_owned()
    }

    async fn venue(&self, output: &Output) -> Venue {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        let id = text.split_whitespace().find_map(|word| Uuid::parse_str(word).ok()).expect("the id of the venue");
        let ports = Ports::embedded(Keyring::parse(KEYS).expect("keys"));
        let ports = ports.on_postgres(&self.database.config()).await.expect("Postgres is available");
        ports.catalog.venue(VenueId(id)).await.expect("Postgres is available").expect("a stored venue")
    }
}

fn plan() -> Value {
    let seat = |number: u32| {
        json!({
            "seat_guid": format!("a{number}"), "seat_number": number.to_string(), "category": "Seats",
            "position": { "x": number * 10, "y": 0 }, "note": "?",
        })
    };
    json!({
        "name": "Town Hall", "categories": [{ "name": "Seats" }, { "name": "Standing" }],
        "zones": [{ "name": "Stalls", "position": { "x": 0, "y": 0 },
            "rows": [{ "row_number": "A", "seats": (1..=3).map(seat).collect::<Value>() }] }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_imported_with_warnings_and_revised() {
    let office = Office::new().await;
    let imported = office
        .encore(&[
            "import-venue",
            &office.plan(&plan()),
            "--city",
            "Köln",
            "--country",
            "DE",
            "--time-zone",
            "Europe/Berlin",
        ])
        .output()
        .expect("the binary runs");
    let warning =
        "warning: $.zones[0].rows[0].seats[0].note is not understood and is ignored, here and in 2 more places\n";
    assert_eq!(String::from_utf8_lossy(&imported.stderr), warning);
    let before = office.venue(&imported).await;
    assert_eq!(before.chart.capacity(), 3);
    assert_eq!(before.location, Some(location("Köln", "DE", "Europe/Berlin")));

    let id = before.id.to_string();
    let changes = ["--accessible", "a1,a3", "--focal-point", "-5,2.5", "--section-focal-point", "Stalls=1,2"];
    let revise = [&["revise-venue", &id], &changes[..], &["--area", "Floor=Standing:40"]].concat();
    let revised = office.encore(&revise).output().expect("the binary runs");
    let after = office.venue(&revised).await;
    assert_ne!(after.id, before.id);
    assert_eq!(after.location, before.location);
    let accessible = after.chart.seats().iter().filter(|seat| seat.accessible).map(|seat| seat.id.as_str());
    assert_eq!(accessible.collect::<Vec<_>>(), ["a1", "a3"]);
    assert_eq!(after.chart.focal_points().plan, Some(Point { x: -5.0, y: 2.5 }));
    assert_eq!(after.chart.focal_points().sections.get(&0), Some(&Point { x: 1.0, y: 2.0 }));
    assert_eq!((after.chart.capacity(), after.chart.area_named("Floor").is_some()), (43, true));

    let unknown = office.encore(&["revise-venue", &id, "--ordinary", "z9"]).output().expect("the binary runs");
    assert_eq!(unknown.status.code(), Some(1));
    let error = "encore: invalid:\n  ordinary_seat_ids[0]: must be a seat of the venue: \"z9\"\n";
    assert_eq!(String::from_utf8_lossy(&unknown.stderr), error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_location_is_whole_and_real() {
    let office = Office::new().await;
    let file = office.plan(&plan());
    let at = ["--city", "Köln", "--country", "DE", "--time-zone", "Europe/Berlin"];
    for broken in [
        &at[..2],
        &at[2..],
        &[&at[..4], &["--time-zone", "Europe/Koln"]].concat(),
        &[&at[..2], &["--country", "XX"]].concat(),
    ] {
        let refused = office.encore(&[&["import-venue", &file], broken].concat()).output().expect("the binary runs");
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_violations_of_a_plan_may_go_unread() {
    let office = Office::new().await;
    let mut bad = plan();
    bad["zones"][0]["rows"][0]["seats"] = (0..500).map(|_| json!(null)).collect();
    let file = office.plan(&bad);
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let mut import = office.encore(&["import-venue", &file]);
    import.stdout(writer.try_clone().expect("a pipe")).stderr(Stdio::from(writer));
    assert_eq!(import.status().expect("the binary runs").code(), Some(1), "it does not panic");
}
