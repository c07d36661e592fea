use std::fs;
use std::path::PathBuf;

use encore_private_stores::certificates::CertificateAuthority;

use super::*;

/// Files that are removed with their folder.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("encore-config-kafka-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn with(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn plain() -> KafkaArgs {
    KafkaArgs {
        kafka_brokers: Some("one:9092".to_owned()),
        kafka_topic: "events".to_owned(),
        kafka_tls: "off".to_owned(),
        ..KafkaArgs::default()
    }
}

fn with_scram() -> KafkaArgs {
    KafkaArgs {
        kafka_sasl_mechanism: Some("SCRAM-SHA-256".to_owned()),
        kafka_sasl_user: Some("encore".to_owned()),
        kafka_sasl_password: Some("hunter2".to_owned()),
        ..plain()
    }
}

/// The violations, but for those that only this build has.
fn refused(args: &KafkaArgs) -> Vec<String> {
    let errors = args.check().err().map(|errors| errors.0).unwrap_or_default();
    errors.into_iter().filter(|error| !error.contains("--features kafka-tls")).collect()
}

#[test]
fn settings_that_do_not_fit_together_are_refused_by_name() {
    let on = || KafkaArgs { kafka_tls: "on".to_owned(), ..plain() };
    let some = |path: &str| Some(PathBuf::from(path));
    for (args, name) in [
        (KafkaArgs { kafka_tls: "yes".to_owned(), ..plain() }, "ENCORE_KAFKA_TLS: must"),
        (KafkaArgs { kafka_ca_file: some("/nowhere"), ..plain() }, "ENCORE_KAFKA_CA_FILE: requires"),
        (KafkaArgs { kafka_key_file: some("/nowhere"), ..plain() }, "ENCORE_KAFKA_KEY_FILE: requires"),
        (KafkaArgs { kafka_ca_file: some("/nowhere"), ..on() }, "ENCORE_KAFKA_CA_FILE: cannot be read"),
        (KafkaArgs { kafka_key_file: some("/nowhere"), ..on() }, "ENCORE_KAFKA_CERTIFICATE_FILE: must be set"),
        (KafkaArgs { kafka_certificate_file: some("/nowhere"), ..on() }, "ENCORE_KAFKA_KEY_FILE: must be set"),
        (KafkaArgs { kafka_brokers: None, ..on() }, "ENCORE_KAFKA_TLS: requires ENCORE_KAFKA_BROKERS"),
        (KafkaArgs { kafka_brokers: None, ..with_scram() }, "ENCORE_KAFKA_SASL_MECHANISM: requires"),
        (
            KafkaArgs { kafka_sasl_mechanism: Some("PLAIN".to_owned()), ..with_scram() },
            "ENCORE_KAFKA_SASL_MECHANISM: PLAIN requires ENCORE_KAFKA_TLS=on",
        ),
        (
            KafkaArgs { kafka_sasl_mechanism: Some("GSSAPI".to_owned()), ..with_scram() },
            "ENCORE_KAFKA_SASL_MECHANISM: must",
        ),
        (KafkaArgs { kafka_sasl_user: None, ..with_scram() }, "ENCORE_KAFKA_SASL_USER: must be set"),
        (KafkaArgs { kafka_sasl_password: None, ..with_scram() }, "ENCORE_KAFKA_SASL_PASSWORD: must be set"),
        (
            KafkaArgs { kafka_sasl_password_file: Some("/x".into()), ..with_scram() },
            "ENCORE_KAFKA_SASL_PASSWORD_FILE: ",
        ),
        (KafkaArgs { kafka_sasl_user: Some("encore".into()), ..plain() }, "ENCORE_KAFKA_SASL_USER: requires"),
        (KafkaArgs { kafka_sasl_password: Some("hunter2".into()), ..plain() }, "ENCORE_KAFKA_SASL_PASSWORD: requires"),
    ] {
        let errors = refused(&args);
        assert!(matches!(errors.as_slice(), [error] if error.starts_with(name)), "{name}: {errors:#?}");
        assert!(!errors.concat().contains("hunter2"), "{errors:#?}");
    }
}

#[test]
fn what_fits_together_is_taken() {
    let files = Files::new("fits");
    let authority = CertificateAuthority::new().expect("an authority");
    let (own, other) = (authority.issue(&["encore"]).expect("one"), authority.issue(&["other"]).expect("another"));
    let mut args = KafkaArgs {
        kafka_tls: "on".to_owned(),
        kafka_ca_file: Some(files.with("ca.pem", &authority.root())),
        kafka_certificate_file: Some(files.with("own.pem", &own.certificate)),
        kafka_key_file: Some(files.with("key.pem", &own.key)),
        kafka_sasl_mechanism: Some("PLAIN".to_owned()),
        kafka_sasl_password: None,
        kafka_sasl_password_file: Some(files.with("password", "hunter2\n").display().to_string()),
        ..with_scram()
    };
    assert_eq!(refused(&args), [""; 0]);
    // Both are read in every build, and refused in one that has no TLS.
    let mut check = Check::default();
    let tls = args.tls(&mut check).ok().flatten().expect("TLS");
    assert_eq!(tls.roots, args.kafka_ca_file);
    let sasl = args.sasl(&mut check, false).ok().flatten().expect("SASL");
    assert_eq!(
        (sasl.mechanism, sasl.user.as_str(), sasl.password.as_str()),
        (SaslMechanism::Plain, "encore", "hunter2")
    );
    assert_eq!(args.check().is_ok(), HAS_KAFKA_TLS);
    args.kafka_key_file = Some(files.with("other.pem", &other.key));
    assert_eq!(refused(&args), ["ENCORE_KAFKA_KEY_FILE: is not the key of the certificate"]);
    args.kafka_key_file = Some(files.with("none.pem", "nothing"));
    assert_eq!(refused(&args), ["ENCORE_KAFKA_KEY_FILE: contains no private key in PEM that is not encrypted"]);
    args.kafka_key_file = Some(files.with("key.pem", &own.key));
    args.kafka_ca_file = Some(files.with("none.pem", "nothing"));
    assert_eq!(refused(&args), ["ENCORE_KAFKA_CA_FILE: contains no certificate in PEM"]);
}

#[test]
fn a_build_without_tls_says_so() {
    let args = KafkaArgs { kafka_tls: "on".to_owned(), ..with_scram() };
    let errors = args.check().err().map(|errors| errors.0).unwrap_or_default();
    let told =
        |name: &str| errors.iter().any(|error| error.starts_with(name) && error.contains("--features kafka-tls"));
    assert_eq!(told("ENCORE_KAFKA_TLS: "), !HAS_KAFKA_TLS, "{errors:#?}");
    assert_eq!(told("ENCORE_KAFKA_SASL_MECHANISM: "), !HAS_KAFKA_TLS, "{errors:#?}");
}
