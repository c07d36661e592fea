use clap::builder::Resettable;
use clap::{CommandFactory, FromArgMatches, Parser};
use encore_domain::identity::Password;
use encore_domain::identity::email_verification::VerificationPolicy;

use super::*;
use crate::demo::OPERATOR_PASSWORD;
use crate::variables::{Variable, variables};

const PREFIX: &str = "ENCORE_";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    serve: ServeArgs,
}

/// The arguments of these flags alone. The environment of the test process is ignored.
fn args(flags: &[&str]) -> ServeArgs {
    let command = Cli::command().mut_args(|arg| arg.env(Resettable::Reset));
    let matches = command.get_matches_from(std::iter::once("encore").chain(flags.iter().copied()));
    Cli::from_arg_matches(&matches).expect("the flags are known").serve
}

/// Each is invalid.
const INVALID: &[&str] = &[
    "--listen=nowhere",
    "--metrics-listen=9464",
    "--tls-certificate-file=/nowhere",
    "--database-url=mysql://x",
    "--redis-url=http://y",
    "--roles=cook",
    "--database-pool=0",
    "--guarded-rpcs=HoldSeats,encore.queue.v1.QueueService/JoinQueue",
    "--shutdown-seconds=-1",
    "--access-token-seconds=1",
    "--session-idle-seconds=59",
    "--smtp-url=http://x",
    "--mail-from=Encore <no-reply@example.com>",
    "--reset-link=ftp://x",
    "--verification-link=x",
    "--email-verification=perhaps",
    "--session-max-seconds=31536001",
    "--clock-tolerance-ms=99",
    "--queue-retention-days=0",
    "--request-retention-days=0",
    "--redis-prefix={}",
    "--queue-rate-ceiling=0",
    "--queue-max-active-ceiling=100001",
    "--cancel-closes-before-seconds=x",
    "--cancel-fee-percent=101",
    "--payment-gateway=paper",
    "--wallet-top-up=coins",
    "--event-files=",
    "--kafka-brokers=broker",
    "--kafka-topic=a b",
    "--kafka-seat-topic=a/b",
    "--kafka-queue-topic=",
    "--kafka-partitions=0",
    "--kafka-replicas=11",
    "--kafka-tls=perhaps",
    "--kafka-sasl-mechanism=PAPER",
    "--event-file-mb=0",
    "--event-files-max=0",
    "--event-retention-hours=9000",
    "--connections=0",
    "--connections-per-address=many",
    "--calls-per-user-per-second=0",
    "--sign-ups-per-hour=-1",
    "--log-ins-per-minute=many",
    "--trusted-proxies=10.0.0.0/33",
    "--alarm-webhook=hooks.example",
    "--demo-operator-password=known",
];

#[test]
fn one_error_lists_every_invalid_argument() {
    let args = args(INVALID);
    let errors = args.check().expect_err("every argument is invalid").0;
    for name in [
        "ENCORE_LISTEN",
        "ENCORE_METRICS_LISTEN",
        "ENCORE_TLS_KEY_FILE",
        "ENCORE_DATABASE_URL",
        "ENCORE_REDIS_URL",
        "ENCORE_ROLES: must be one or more",
        "ENCORE_DATABASE_POOL",
        "ENCORE_GUARDED_RPCS",
        "ENCORE_SHUTDOWN_SECONDS",
        "ENCORE_ACCESS_TOKEN_SECONDS",
        "ENCORE_SESSION_IDLE_SECONDS",
        "ENCORE_SMTP_URL",
        "ENCORE_RESET_LINK",
        "ENCORE_VERIFICATION_LINK",
        "ENCORE_EMAIL_VERIFICATION: must be off or required",
        "ENCORE_SESSION_MAX_SECONDS",
        "ENCORE_CLOCK_TOLERANCE_MS",
        "ENCORE_QUEUE_RETENTION_DAYS",
        "ENCORE_REQUEST_RETENTION_DAYS",
        "ENCORE_REDIS_PREFIX",
        "ENCORE_TOKEN_KEYS",
        "ENCORE_QUEUE_RATE_CEILING",
        "ENCORE_QUEUE_MAX_ACTIVE_CEILING",
        "ENCORE_CANCEL_CLOSES_BEFORE_SECONDS",
        "ENCORE_CANCEL_FEE_PERCENT",
        "ENCORE_PAYMENT_GATEWAY",
        "ENCORE_WALLET_TOP_UP",
        "ENCORE_EVENT_FILES:",
        "ENCORE_KAFKA_BROKERS",
        "ENCORE_KAFKA_TOPIC",
        "ENCORE_KAFKA_SEAT_TOPIC",
        "ENCORE_KAFKA_QUEUE_TOPIC",
        "ENCORE_KAFKA_PARTITIONS",
        "ENCORE_KAFKA_REPLICAS",
        "ENCORE_KAFKA_TLS",
        "ENCORE_KAFKA_SASL_MECHANISM",
        "ENCORE_KAFKA_SASL_USER",
        "ENCORE_KAFKA_SASL_PASSWORD",
        "ENCORE_EVENT_FILE_MB",
        "ENCORE_EVENT_FILES_MAX",
        "ENCORE_EVENT_RETENTION_HOURS",
        "ENCORE_CONNECTIONS:",
        "ENCORE_CONNECTIONS_PER_ADDRESS:",
        "ENCORE_CALLS_PER_USER_PER_SECOND:",
        "ENCORE_SIGN_UPS_PER_HOUR",
        "ENCORE_LOG_INS_PER_MINUTE",
        "ENCORE_TRUSTED_PROXIES",
        "ENCORE_ALARM_WEBHOOK",
        "ENCORE_DEMO_OPERATOR_PASSWORD",
    ] {
        assert!(errors.iter().any(|error| error.starts_with(name)), "{name} is missing from {errors:#?}");
    }
    for rpc in ["HoldSeats", "encore.queue.v1.QueueService/JoinQueue"] {
        let refused = format!("ENCORE_GUARDED_RPCS: {rpc:?} ");
        assert!(errors.iter().any(|error| error.starts_with(&refused)), "{rpc} is missing from {errors:#?}");
    }
}

#[test]
fn a_password_in_a_url_is_not_printed() {
    let flags = ["--database-url=postgres://encore:hunter2@db/encore", "--redis-url=redis://:hunter2@redis"];
    let printed = format!("{:?}", args(&flags).stores.check().expect("valid URLs"));
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn a_process_without_all_roles_shares_its_stores_and_its_gateway() {
    let keys = format!("--token-keys=first:{}", "A".repeat(44));
    let durable = ["--database-url=postgres://db/encore", &keys, "--roles=api"];
    let shared = [durable.as_slice(), &["--redis-url=redis://redis"]].concat();
    let errors = |flags: &[&str]| args(flags).check().err().map(|errors| errors.0).unwrap_or_default();
    assert_eq!(errors(&shared), [""; 0]);
    assert_eq!(args(&shared).check().expect("valid").roles.to_string(), "api");
    let without_redis = errors(&durable);
    assert!(matches!(&without_redis[..], [error] if error.starts_with("ENCORE_ROLES: ")), "{without_redis:?}");
    let with_sandbox = errors(&[shared.as_slice(), &["--payment-gateway=sandbox"]].concat());
    assert!(matches!(&with_sandbox[..], [error] if error.contains("sandbox")), "{with_sandbox:?}");
    assert_eq!(errors(&["--roles=worker"]).len(), 2, "neither stores nor the gateway are shared");
    assert_eq!(args(&[]).check().expect("valid").roles, Roles::ALL);
}

#[test]
fn the_webhook_of_alarms_is_not_printed() {
    let printed = format!("{:?}", args(&["--alarm-webhook=https://hooks.example/hunter2"]).check().expect("a URL"));
    assert!(!printed.contains("hunter2"), "{printed}");
    let errors = args(&["--alarm-webhook=hunter2://hooks.example"]).check().expect_err("no URL of HTTP").0;
    assert_eq!(errors, ["ENCORE_ALARM_WEBHOOK: must be a URL that begins with https:// or http://"]);
}

#[test]
fn without_arguments_the_embedded_demo_is_served() {
    let config = args(&[]).check().expect("the defaults are valid");
    assert_eq!(config.stores, Stores::Embedded);
    let password = Password::parse(OPERATOR_PASSWORD).ok();
    assert_eq!(config.demo, Some(Demo { operator: password }));
    assert_eq!(config.queue_ceilings, QueueCeilings::default(), "no ceilings");
}

#[test]
fn each_ceiling_of_a_queue_can_be_set_without_the_other() {
    let ceilings = |flags: &[&str]| args(flags).check().map(|config| config.queue_ceilings);
    let rate = QueueCeilings { rate_per_second: Some(1_000_000), max_active: None };
    assert_eq!(ceilings(&["--queue-rate-ceiling=1000000"]), Ok(rate));
    let max_active = QueueCeilings { rate_per_second: None, max_active: Some(1) };
    assert_eq!(ceilings(&["--queue-max-active-ceiling=1"]), Ok(max_active));
    for invalid in [
        "--queue-rate-ceiling=1000001",
        "--queue-rate-ceiling=2.5",
        "--queue-max-active-ceiling=0",
        "--queue-max-active-ceiling=",
    ] {
        assert_eq!(ceilings(&[invalid]).map_err(|errors| errors.0.len()), Err(1), "{invalid}");
    }
}

#[test]
fn each_node_of_a_redis_cluster_is_checked() {
    let stores = |urls: &str| args(&["--database-url=postgres://db", &format!("--redis-url={urls}")]).stores.check();
    let Ok(Stores::Durable { redis: Some(redis), .. }) = stores("redis://one:7000, redis://two:7000") else {
        panic!("two nodes are a Redis Cluster")
    };
    assert_eq!(redis.urls, "redis://one:7000,redis://two:7000");
    let errors = stores("redis://one:7000,two:7000,").expect_err("two of them are not URLs").0;
    let violation = |number| format!("ENCORE_REDIS_URL (URL {number}): must begin with redis:// or rediss://");
    assert_eq!(errors, [violation(2), violation(3)]);
}

#[test]
fn redis_without_a_database_is_refused() {
    let errors = args(&["--redis-url=redis://localhost"]).check().expect_err("no database").0;
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[test]
fn what_does_not_fit_to_the_redis_is_told_with_its_variable() {
    let errors = |flags: &[&str]| args(flags).stores.check().expect_err("they do not fit").0;
    let not_pem = format!("--redis-tls-ca-file={}/Cargo.toml", env!("CARGO_MANIFEST_DIR"));
    let requires = "ENCORE_REDIS_TLS_CA_FILE: requires ENCORE_REDIS_URL";
    assert_eq!(errors(&["--database-url=postgres://db", &not_pem]), [requires]);
    for flags in [
        &["--database-url=postgres://db", "--redis-url=rediss://one", &not_pem][..],
        &["--redis-tls-ca-file=/nowhere/ca.pem"],
    ] {
        let errors = errors(flags);
        assert!(errors.iter().all(|error| error.starts_with("ENCORE_REDIS_TLS_CA_FILE: ")), "{errors:?}");
    }
    let errors = errors(&["--redis-prefix={}"]);
    assert!(errors.len() == 1 && errors[0].starts_with("ENCORE_REDIS_PREFIX: "), "{errors:?}");
}

#[test]
fn the_operator_whose_password_everybody_knows_is_on_loopback_alone() {
    let errors = |flags: &[&str]| args(flags).check().map(|config| config.demo).map_err(|errors| errors.0);
    for listen in ["--listen=0.0.0.0:50051", "--listen=[::]:50051", "--listen=10.0.0.1:50051"] {
        let refused = errors(&[listen]).expect_err("everybody could log in as the operator");
        assert!(refused.len() == 1 && refused[0].starts_with("ENCORE_LISTEN: "), "{refused:?}");
        let known = format!("--demo-operator-password={OPERATOR_PASSWORD}");
        assert!(errors(&[listen, &known]).is_err());
        let operator = Password::parse("my own password").ok();
        assert_eq!(errors(&[listen, "--demo-operator-password=my own password"]), Ok(Some(Demo { operator })));
    }
    assert!(errors(&["--listen=127.0.0.2:50051"]).is_ok() && errors(&["--listen=[::1]:50051"]).is_ok());
}

#[test]
fn where_data_lasts_there_is_no_operator_that_nobody_asked_for() {
    let key = format!("--token-keys=a:{}", "A".repeat(44));
    let demo = |flags: &[&str]| {
        let durable = [&["--database-url=postgres://db", "--listen=0.0.0.0:1", key.as_str()], flags].concat();
        args(&durable).check().map(|config| config.demo)
    };
    assert_eq!(demo(&[]), Ok(None));
    assert_eq!(demo(&["--demo"]), Ok(Some(Demo { operator: None })));
    assert_eq!(demo(&["--demo", "--demo-operator-password="]), Ok(Some(Demo { operator: None })));
    let operator = Password::parse("my own password").ok();
    assert_eq!(demo(&["--demo", "--demo-operator-password=my own password"]), Ok(Some(Demo { operator })));
    assert_eq!(demo(&["--demo-operator-password=my own password"]).map_err(|errors| errors.0.len()), Err(1));
}

#[test]
fn nobody_is_told_to_verify_an_address_without_a_mail() {
    let key = format!("--token-keys=a:{}", "A".repeat(44));
    let required = |flags: &[&str]| {
        let durable = [&["--database-url=postgres://db", &key, "--email-verification=required"], flags].concat();
        args(&durable).check().map(|config| config.mail.verification)
    };
    let errors = required(&[]).expect_err("no mails").0;
    assert_eq!(errors, ["ENCORE_EMAIL_VERIFICATION: required needs ENCORE_SMTP_URL or ENCORE_MAIL_FOLDER"]);
    let mails = ["--mail-folder=/tmp/mails", "--mail-from=Encore <no-reply@example.com>"];
    assert_eq!(required(&mails), Ok(VerificationPolicy::Required));
    let embedded = args(&[]).check().expect("the defaults are valid");
    assert_eq!(embedded.mail.verification, VerificationPolicy::Optional);
}

#[test]
fn webhooks_need_an_address_and_a_secret() {
    let secret = "--gateway-webhook-secrets=whsec_hunter2hunter2,whsec_hunter3hunter3";
    let address = "--gateway-webhook-listen=127.0.0.1:8080";
    let config = args(&[secret, address]).check().expect("a configuration");
    assert!(config.gateway_webhooks.is_some() && !format!("{config:?}").contains("hunter"));
    for flags in [
        &[secret][..],
        &[address],
        &[secret, "--gateway-webhook-listen=x"],
        &[address, "--gateway-webhook-secrets=short"],
    ] {
        let errors = args(flags).check().expect_err("one is missing or wrong").0;
        assert!(errors.iter().all(|error| error.starts_with("ENCORE_GATEWAY_WEBHOOK_")), "{flags:?}: {errors:?}");
    }
    assert_eq!(args(&[]).check().expect("a configuration").gateway_webhooks, None);
}

#[test]
fn stripe_needs_a_key_and_a_page_to_return_to() {
    let with = |flags: &[&str]| {
        let flags: Vec<&str> = ["--payment-gateway=stripe"].iter().chain(flags).copied().collect();
        args(&flags).check()
    };
    let errors = with(&["--wallet-top-up=free"]).expect_err("nothing is set").0;
    for name in ["ENCORE_STRIPE_SECRET_KEY: ", "ENCORE_STRIPE_RETURN_URL: ", "ENCORE_WALLET_TOP_UP: "] {
        assert!(errors.iter().any(|error| error.starts_with(name)), "{name} is missing from {errors:#?}");
    }
    let key = "--stripe-secret-key=sk_test_hunter2";
    let page = "--stripe-return-url=https://tickets.example/paid";
    let config = with(&[key, page]).expect("a configuration");
    assert!(matches!(config.gateway, Gateway::Stripe(_)));
    assert_eq!(config.top_ups, TopUps::Gateway, "no free money beside a real gateway");
    assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    let errors = with(&["--stripe-secret-key=pk_test_hunter2", page]).expect_err("a public key").0;
    assert!(errors.iter().all(|error| !error.contains("hunter2")), "{errors:?}");
    for (flag, name) in [
        ("--stripe-url=http://stripe.example", "ENCORE_STRIPE_URL"),
        ("--stripe-return-url=paid", "ENCORE_STRIPE_RETURN_URL"),
    ] {
        let page = if flag.starts_with("--stripe-return-url") { flag } else { page };
        let flags: Vec<&str> = [key, page].into_iter().chain((page != flag).then_some(flag)).collect();
        let errors = with(&flags).expect_err("a wrong URL").0;
        assert!(errors.iter().any(|error| error.starts_with(name)), "{name} is missing from {errors:?}");
    }
    assert!(with(&["--stripe-secret-key-file=/nowhere", page]).is_err());
}

#[test]
fn a_secret_may_come_from_a_file() {
    let folder = std::env::temp_dir().join(format!("encore-secrets-{}", std::process::id()));
    let (url, unreadable) = (folder.join("url"), folder.join("none"));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(&url, "postgres://encore:hunter2@db/encore\n").expect("a file");
    let flag = |path: &std::path::Path| format!("--database-url-file={}", path.display());
    let stores = args(&[&flag(&url)]).stores.check();
    let target = DatabaseTarget { url: "postgres://encore:hunter2@db/encore".into(), pool_size: 16 };
    assert_eq!(stores, Ok(Stores::Durable { database: target, redis: None }));
    let errors = |flags: &[&str]| args(flags).stores.check().expect_err("a violation").0;
    let both = errors(&[&flag(&url), "--database-url=postgres://db"]);
    assert_eq!(both, ["ENCORE_DATABASE_URL_FILE: must not be set beside the variable for the value itself"]);
    let missing = errors(&[&flag(&unreadable)]);
    assert!(missing.len() == 1 && missing[0].starts_with("ENCORE_DATABASE_URL_FILE: cannot be read"), "{missing:?}");
    std::fs::remove_dir_all(&folder).expect("the folder goes");
}

/// The tables of docs/operating.md name each variable with its flag and its default, and no other.
#[test]
fn the_documented_variables_are_those_that_are_read() {
    let documented = include_str!("../../../../docs/operating.md");
    let mut missing = Vec::new();
    for Variable { name, flag, default, .. } in variables(&crate::command_line::Cli::command()) {
        let row = documented.lines().find(|line| line.starts_with(&format!("| `{name}` | `{flag}` |")));
        let has_default = |row: &str| {
            default.as_ref().is_none_or(|default| {
                default.len() > 40 || row.split(" | ").nth(2).is_some_and(|cell| cell.contains(&format!("`{default}`")))
            })
        };
        if !row.is_some_and(has_default) {
            missing.push((name, default));
        }
    }
    assert_eq!(missing, [], "a row of docs/operating.md is missing or has another default");
    let known = variables(&crate::command_line::Cli::command());
    let rows = documented.lines().filter_map(|line| line.strip_prefix("| `ENCORE_")?.split_once('`'));
    let unknown: Vec<&str> =
        rows.map(|(name, _)| name).filter(|name| known.iter().all(|it| it.name[PREFIX.len()..] != **name)).collect();
    assert_eq!(unknown, [""; 0], "docs/operating.md has a row for a variable that nobody reads");
}

#[test]
fn the_seat_feed_goes_where_events_go() {
    let feed = |flags: &[&str]| args(flags).check().map(|config| config.events.seat_feed).map_err(|errors| errors.0);
    let Ok(SeatFeed::File(folder, limits)) = feed(&["--event-files=/var/events"]) else { panic!("a file") };
    assert_eq!(folder, std::path::Path::new("/var/events"));
    assert_eq!((limits.compacted_from, limits.bytes_max), (16_000_000, 128_000_000));
    assert_eq!(feed(&["--event-files=off"]), Ok(SeatFeed::Off));
    let Ok(SeatFeed::Kafka(target)) = feed(&["--kafka-brokers=one:9092"]) else { panic!("Kafka") };
    assert_eq!((target.topic.as_str(), target.is_compacted), ("encore.seats", true));
    assert_eq!(feed(&["--kafka-brokers=one:9092", "--kafka-seat-topic=off"]), Ok(SeatFeed::Off));
    let same = feed(&["--kafka-brokers=one:9092", "--kafka-seat-topic=encore.events"]);
    assert_eq!(same, Err(vec!["ENCORE_KAFKA_SEAT_TOPIC: must be a topic of its own".to_owned()]));
}

#[test]
fn the_facts_of_queues_go_where_events_go() {
    let facts = |flags: &[&str]| args(flags).check().map(|config| config.events.queue_facts).map_err(|errors| errors.0);
    let Ok(Publisher::Files(folder, _)) = facts(&["--event-files=/var/events"]) else { panic!("files") };
    assert_eq!(folder, std::path::Path::new("/var/events"));
    assert_eq!(facts(&["--event-files=off"]), Ok(Publisher::Off));
    let Ok(Publisher::Kafka(target)) = facts(&["--kafka-brokers=one:9092"]) else { panic!("Kafka") };
    assert_eq!((target.topic.as_str(), target.is_compacted), ("encore.queue", false));
    assert_eq!(facts(&["--kafka-brokers=one:9092", "--kafka-queue-topic=off"]), Ok(Publisher::Off));
    for taken in ["encore.events", "encore.seats"] {
        let same = facts(&["--kafka-brokers=one:9092", &format!("--kafka-queue-topic={taken}")]);
        assert_eq!(same, Err(vec!["ENCORE_KAFKA_QUEUE_TOPIC: must be a topic of its own".to_owned()]));
    }
}

/// What `docker compose` and the manifests for Kubernetes set.
#[test]
fn the_deployed_variables_are_those_that_are_read() {
    let known = variables(&crate::command_line::Cli::command());
    for (file, text) in [
        ("docker-compose.yml", include_str!("../../../../docker-compose.yml")),
        ("base", include_str!("../../../../deploy/kubernetes/base/kustomization.yaml")),
        ("stripe", include_str!("../../../../deploy/kubernetes/stripe/kustomization.yaml")),
        ("example", include_str!("../../../../deploy/kubernetes/example/kustomization.yaml")),
        ("migrate", include_str!("../../../../deploy/kubernetes/migrate/job.yaml")),
    ] {
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let set: Vec<&str> = words.filter(|word| word.starts_with("ENCORE_")).collect();
        assert!(!set.is_empty(), "{file} sets nothing");
        let unknown: Vec<&&str> = set.iter().filter(|name| known.iter().all(|it| it.name != ***name)).collect();
        assert!(unknown.is_empty(), "{file} sets variables that nobody reads: {unknown:?}");
    }
}

#[test]
fn events_are_published_to_files_without_a_database_and_to_nothing_with_one() {
    let events = |flags: &[&str]| args(flags).check().expect("valid arguments").events;
    let keys = format!("--token-keys=first:{}", "A".repeat(44));
    let durable = ["--database-url=postgres://db/encore", &keys];
    let Publisher::Files(folder, limits) = events(&["--listen=127.0.0.1:7001"]).publisher else { panic!("files") };
    assert_eq!(folder, std::env::temp_dir().join("encore-events-7001"));
    assert_eq!((limits.file_bytes_max, limits.files_max), (16_000_000, 8));
    assert_eq!(events(&["--event-files=off"]).publisher, Publisher::Off);
    assert_eq!(events(&durable).publisher, Publisher::Off);
    let Publisher::Kafka(target) = events(&["--kafka-brokers=one:9092, two:9092"]).publisher else { panic!("Kafka") };
    assert_eq!((target.topic.as_str(), target.partitions, target.replication), ("encore.events", 12, None));
    let both = args(&["--kafka-brokers=one:9092", "--event-files=/var/events"]).check().expect_err("both").0;
    assert_eq!(both, ["ENCORE_KAFKA_BROKERS: cannot be set together with ENCORE_EVENT_FILES"]);
    let kept = |flags: &[&str]| events(flags).retention.as_secs() / 3_600;
    assert_eq!((kept(&[]), kept(&durable), kept(&["--event-retention-hours=5"])), (1, 168, 5));
    let Publisher::Files(folder, _) = events(&[durable.as_slice(), &["--event-files=/var/events"]].concat()).publisher
    else {
        panic!("files")
    };
    assert_eq!(folder, std::path::Path::new("/var/events"));
}
