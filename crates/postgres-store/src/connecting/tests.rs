use std::fs;

use diesel::sql_types::Bool;
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use encore_private_stores::PostgresServer;
use encore_private_stores::certificates::CertificateAuthority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::{Database, DatabaseConfig, migration};

fn parsed(options: &str) -> Result<(SslMode, Option<Trust>), UrlError> {
    let url = format!("postgres://encore:a?b@db.example:5432/encore{options}");
    Target::parse(&url).map(|target| (target.config.get_ssl_mode(), target.trust))
}

#[test]
fn the_modes_mean_what_they_mean_in_libpq() {
    let file = || PathBuf::from("/etc/ca.pem");
    for (options, expected) in [
        ("", (SslMode::Prefer, Some(Trust::Anybody))),
        ("?sslmode=disable", (SslMode::Disable, None)),
        ("?sslmode=disable&sslrootcert=/etc/ca.pem", (SslMode::Disable, None)),
        ("?sslmode=prefer", (SslMode::Prefer, Some(Trust::Anybody))),
        // Stricter than libpq, by which a server without TLS would do.
        ("?sslrootcert=/etc/ca.pem", (SslMode::Require, Some(Trust::SignedBy(file())))),
        ("?sslmode=prefer&sslrootcert=/etc/ca.pem", (SslMode::Require, Some(Trust::SignedBy(file())))),
        ("?sslmode=require", (SslMode::Require, Some(Trust::Anybody))),
        ("?sslrootcert=/etc/ca.pem&sslmode=require", (SslMode::Require, Some(Trust::SignedBy(file())))),
        ("?sslmode=verify-ca&sslrootcert=%2Fetc%2Fca.pem", (SslMode::Require, Some(Trust::SignedBy(file())))),
        ("?sslmode=verify-full", (SslMode::Require, Some(Trust::Named(None)))),
        ("?sslrootcert=system", (SslMode::Require, Some(Trust::Named(None)))),
        ("?sslmode=verify-full&sslrootcert=/etc/ca.pem", (SslMode::Require, Some(Trust::Named(Some(file()))))),
    ] {
        assert_eq!(parsed(options).expect("a valid URL"), expected, "{options}");
    }
}

#[test]
fn the_other_options_go_to_the_driver() {
    let url = "postgres://encore:a?b@db.example/encore?keepalives=0&sslmode=require&connect_timeout=7";
    let Target { config, .. } = Target::parse(url).expect("a valid URL");
    assert_eq!(config.get_password(), Some(&b"a?b"[..]));
    assert_eq!(config.get_dbname(), Some("encore"));
    assert_eq!(config.get_connect_timeout().map(std::time::Duration::as_secs), Some(7));
    assert!(!config.get_keepalives());
}

#[test]
fn what_would_protect_less_than_it_seems_is_refused() {
    for options in
        ["?sslmode=verify-ca", "?sslmode=verify-ca&sslrootcert=system", "?sslmode=require&sslrootcert=system"]
    {
        assert!(matches!(parsed(options), Err(UrlError::NameNotVerified)), "{options}");
    }
    for options in ["?sslmode=allow", "?sslmode=", "?sslmode=Require"] {
        assert!(matches!(parsed(options), Err(UrlError::Mode)), "{options}");
    }
    assert!(matches!(parsed("?sslcert=/etc/client.pem"), Err(UrlError::Driver(_))));
    let by_address = "postgres://encore@/encore?hostaddr=127.0.0.1&sslmode=require";
    assert_eq!(Target::parse(by_address).expect("a valid URL").config.get_ssl_mode(), SslMode::Require);
    let missing = check_url("postgres://db/encore?sslmode=verify-full&sslrootcert=/nowhere/ca.pem");
    assert!(matches!(missing, Err(UrlError::Roots(RootsError::Unreadable { .. }))), "{missing:?}");
    let not_pem = check_url(concat!("postgres://db/encore?sslrootcert=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
    assert!(matches!(not_pem, Err(UrlError::Roots(RootsError::None { .. }))), "{not_pem:?}");
}

#[test]
fn a_socket_is_not_encrypted() {
    let url = "postgres://encore@%2Frun%2Fpostgresql/encore?sslmode=verify-full";
    let target = Target::parse(url).expect("a valid URL");
    assert_eq!((target.config.get_ssl_mode(), target.trust), (SslMode::Disable, None));
}

/// One server for all cases, because each takes seconds to start.
#[tokio::test]
async fn only_the_server_that_the_mode_asks_for_is_spoken_to() {
    let folder = std::env::temp_dir().join(format!("encore-postgres-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let (authority, other) = (CertificateAuthority::new().expect("keys"), CertificateAuthority::new().expect("keys"));
    let issued = authority.issue(&["localhost"]).expect("a certificate");
    let server = PostgresServer::start_encrypted(&folder, &issued.certificate, &issued.key).expect("Postgres starts");
    let (root, wrong) = (folder.join("root.pem"), folder.join("wrong.pem"));
    fs::write(&root, authority.root()).expect("a file");
    fs::write(&wrong, other.root()).expect("a file");
    let (root, wrong) = (root.display(), wrong.display());

    for (host, options) in [
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={root}")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={root}")),
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}")),
    ] {
        let url = format!("{}?{options}", server.url(host));
        let mut conn = connect(&url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert!(is_encrypted(&mut conn).await, "{url}");
    }
    for (host, options, refusal) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), "no encryption"),
        ("127.0.0.1", format!("sslrootcert={wrong}"), "UnknownIssuer"),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={wrong}"), "UnknownIssuer"),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={wrong}"), "UnknownIssuer"),
        ("localhost", format!("sslmode=verify-full&sslrootcert={wrong}"), "UnknownIssuer"),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}"), "not valid for name"),
        ("localhost", "sslmode=verify-full&sslrootcert=system".to_owned(), "certificate"),
    ] {
        let url = format!("{}?{options}", server.url(host));
        let error = connect(&url).await.err().unwrap_or_else(|| panic!("{url} is accepted")).to_string();
        assert!(error.contains(refusal), "{url}: {error}");
    }

    // The pool and the migrations use the same connections.
    let url = format!("{}?sslmode=verify-full&sslrootcert={root}", server.url("localhost"));
    assert_eq!(migration::pending(&url).await.expect("Postgres answers"), migration::versions());
    let database = Database::connect(&DatabaseConfig::new(&url)).await.expect("Postgres answers");
    assert!(is_encrypted(&mut database.connection().await.expect("Postgres answers")).await);
    drop(database);
    drop(server);
    fs::remove_dir_all(&folder).expect("the folder goes");
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let root = std::env::temp_dir().join(format!("encore-postgres-root-{}.pem", std::process::id()));
    fs::write(&root, CertificateAuthority::new().expect("keys").root()).expect("a file");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("postgres://encore@{}/encore", listener.local_addr().expect("an address"));
    // It answers the request for TLS with no, as a server without TLS does, and so does whoever stands between.
    let server = tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.expect("a client");
            client.read_exact(&mut [0; 8]).await.expect("the request");
            client.write_all(b"N").await.expect("it reads");
        }
    });
    for options in ["sslmode=require".to_owned(), format!("sslrootcert={}", root.display())] {
        let error = connect(&format!("{url}?{options}")).await.err().expect("it has no TLS").to_string();
        assert!(error.contains("does not support TLS"), "{options}: {error}");
    }
    server.abort();
    fs::remove_file(&root).expect("the file goes");
}

async fn is_encrypted(conn: &mut AsyncPgConnection) -> bool {
    #[derive(QueryableByName)]
    struct Answer {
        #[diesel(sql_type = Bool)]
        ssl: bool,
    }
    let query = sql_query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
    let answer: Answer = query.get_result(conn).await.expect("Postgres answers");
    answer.ssl
}
