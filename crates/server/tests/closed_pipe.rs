//! Commands of the binary whose output nobody reads any more, as in `encore import-venue plan.json | head -1`.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::io::pipe;
use std::process::{Command, ExitStatus, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use encore_domain::queue::{DRAW_KEY_BYTES, Draw, DrawKey};
use serde_json::json;

/// Runs the binary while both its outputs are pipes whose readers are gone.
fn unread(args: &[&str]) -> ExitStatus {
    let closed = || {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        Stdio::from(writer)
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_encore"));
    command.args(args).env_remove("ENCORE_DATABASE_URL").env_remove("ENCORE_REDIS_URL").env("ENCORE_LOG", "trace");
    command.stdin(Stdio::null()).stdout(closed()).stderr(closed()).status().expect("the binary runs")
}

/// The reply of `GetDraw` after a draw in which five fans took part.
fn draw() -> String {
    let key = DrawKey([7; DRAW_KEY_BYTES]);
    let base64 = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
    let lane = json!({ "lane": "general", "joined": "5", "numbersSha256": base64(&Draw::new(key, 0, 5).digest()) });
    json!({ "key": base64(&key.0), "keySha256": base64(&key.commitment()), "lanes": [lane] }).to_string()
}

#[test]
fn a_result_that_nobody_reads_is_no_failure() {
    assert_eq!(unread(&["--help"]).code(), Some(0));
    let folder = std::env::temp_dir().join(format!("encore-closed-pipe-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let reply = folder.join("draw.json");
    std::fs::write(&reply, draw()).expect("a file");
    let verified = unread(&["verify-draw", &reply.to_string_lossy()]);
    std::fs::remove_dir_all(&folder).expect("a folder");
    assert_eq!(verified.code(), Some(0), "its lines are dropped");
}

#[test]
fn an_error_that_nobody_reads_keeps_its_exit_code() {
    let missing = "/there/is/no/such/plan.json";
    for (args, code) in [
        (&["import-venue", missing][..], 1),
        (&["verify-draw", missing], 1),
        (&["migrate"], 1),
        (&["verify"], 1),
        (&["--log", "not=a=filter", "migrate"], 1),
        (&["revise-venue", "not a UUID"], 2),
        (&["no-such-command"], 2),
    ] {
        assert_eq!(unread(args).code(), Some(code), "{args:?}");
    }
}
