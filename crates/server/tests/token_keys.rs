//! The binary follows its file of token keys, and makes keys for it.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use encore_tests::world::until;

const SECRET: &str = "k1:a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=";

/// A child process that is killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port")
}

/// The published keys; nothing while the server is not there.
fn key_set(address: SocketAddr) -> String {
    let mut answer = String::new();
    let Ok(mut connection) = TcpStream::connect(address) else { return answer };
    let request = b"GET /.well-known/jwks.json HTTP/1.1\r\nhost: encore\r\nconnection: close\r\n\r\n";
    let asked = connection.write_all(request).and_then(|()| connection.read_to_string(&mut answer));
    asked.map(|_| answer).unwrap_or_default()
}

fn new_key(arguments: &[&str]) -> (bool, String) {
    let made = Command::new(env!("CARGO_BIN_EXE_encore")).arg("make-token-key").args(arguments).output();
    let made = made.expect("the binary runs");
    (made.status.success(), String::from_utf8(made.stdout).expect("text").trim_end().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_follows_its_file_of_keys() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("token-keys");
    fs::write(&file, SECRET).expect("a file");
    let address = free_address();
    let _server = Process(
        Command::new(env!("CARGO_BIN_EXE_encore"))
            .args(["--log", "error", "serve"])
            .env("ENCORE_LISTEN", address.to_string())
            .env("ENCORE_TOKEN_KEYS_FILE", &file)
            .env("ENCORE_MAIL_FOLDER", env!("CARGO_TARGET_TMPDIR"))
            .env_remove("ENCORE_DATABASE_URL")
            .env_remove("ENCORE_REDIS_URL")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary starts"),
    );
    until("the key of the secret", || async { key_set(address).contains(r#""kid":"k1.ed25519""#) }).await;
    let (made, key) = new_key(&["a1"]);
    assert!(made && key.starts_with("a1:ed25519:"), "{key}");
    fs::write(&file, format!("{SECRET}\n{key}\n")).expect("a file");
    until("the new key", || async { key_set(address).contains(r#""kid":"a1""#) }).await;
}

#[test]
fn a_key_is_made_once_and_only_with_a_valid_id() {
    let (first, second) = (new_key(&["a1", "--signs-in-seconds", "0"]), new_key(&["a1", "--signs-in-seconds", "0"]));
    assert!(first.0 && second.0);
    assert_ne!(first.1, second.1);
    assert_eq!(new_key(&["A_1"]), (false, String::new()));
}
