//! The rules themselves: `server → grpc → app → waiting-room, seat-map → domain ← stores`. `.deny.toml` says as much of them as it can.

/// Which other crates of the workspace a crate may use.
pub(super) struct CrateRule {
    pub(super) name: &'static str,
    uses: &'static [&'static str],
    /// Which crates its tests may use in addition.
    tests_use: &'static [&'static str],
}

/// End-to-end tests may use every crate.
pub(super) const EXEMPT: [&str; 1] = ["encore-tests"];

pub(super) const CRATES: [CrateRule; 21] = [
    CrateRule { name: "encore-domain", uses: &[], tests_use: &[] },
    CrateRule { name: "encore-bulkhead", uses: &["encore-domain"], tests_use: &[] },
    CrateRule { name: "encore-seating-plan", uses: &["encore-domain"], tests_use: &[] },
    CrateRule {
        name: "encore-app",
        uses: &["encore-bulkhead", "encore-domain", "encore-seat-map", "encore-seating-plan", "encore-waiting-room"],
        tests_use: &["encore-port-tests"],
    },
    CrateRule {
        name: "encore-waiting-room",
        uses: &["encore-bulkhead", "encore-domain"],
        tests_use: &["encore-port-tests"],
    },
    CrateRule {
        name: "encore-seat-map",
        uses: &["encore-bulkhead", "encore-domain"],
        tests_use: &["encore-port-tests"],
    },
    CrateRule { name: "encore-memory-store", uses: &["encore-domain"], tests_use: &["encore-port-tests"] },
    CrateRule {
        name: "encore-postgres-store",
        uses: &["encore-domain"],
        tests_use: &["encore-port-tests", "encore-private-stores"],
    },
    CrateRule {
        name: "encore-redis-store",
        uses: &["encore-domain"],
        tests_use: &["encore-port-tests", "encore-private-stores"],
    },
    CrateRule { name: "encore-credentials", uses: &["encore-domain"], tests_use: &[] },
    CrateRule { name: "encore-port-tests", uses: &["encore-domain"], tests_use: &[] },
    CrateRule { name: "encore-mailer", uses: &["encore-domain"], tests_use: &[] },
    CrateRule { name: "encore-payment-gateway", uses: &["encore-domain"], tests_use: &["encore-port-tests"] },
    CrateRule { name: "encore-proto", uses: &[], tests_use: &[] },
    CrateRule {
        name: "encore-event-format",
        uses: &["encore-domain", "encore-proto"],
        tests_use: &["encore-port-tests"],
    },
    CrateRule {
        name: "encore-events",
        uses: &["encore-domain", "encore-event-format"],
        tests_use: &["encore-port-tests", "encore-private-stores"],
    },
    CrateRule {
        name: "encore-grpc",
        uses: &["encore-app", "encore-domain", "encore-event-format", "encore-proto"],
        tests_use: &[],
    },
    CrateRule {
        name: "encore-server",
        uses: &[
            "encore-app",
            "encore-credentials",
            "encore-domain",
            "encore-event-format",
            "encore-events",
            "encore-mailer",
            "encore-grpc",
            "encore-memory-store",
            "encore-payment-gateway",
            "encore-postgres-store",
            "encore-proto",
            "encore-redis-store",
            "encore-seat-map",
            "encore-seating-plan",
            "encore-waiting-room",
        ],
        tests_use: &["encore-port-tests", "encore-private-stores", "encore-tests"],
    },
    CrateRule { name: "encore-private-stores", uses: &[], tests_use: &[] },
    CrateRule { name: "encore-rehearsal", uses: &["encore-private-stores", "encore-proto"], tests_use: &[] },
    CrateRule { name: "encore-xtask", uses: &["encore-private-stores"], tests_use: &[] },
];

impl CrateRule {
    pub(super) fn allows(&self, dependency: &str, for_tests: bool) -> bool {
        // A crate may name itself, or a crate that it uses, again for its tests, to enable features such as `mock`.
        let in_tests = || dependency == self.name || self.tests_use.contains(&dependency);
        self.uses.contains(&dependency) || for_tests && in_tests()
    }
}

/// Who may use an outside crate and its family (`tonic`, `tonic-web`, `diesel_migrations`).
pub(super) struct OutsideRule {
    family: &'static str,
    users: Users,
}

enum Users {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

const DOMAIN: &[&str] = &["encore-domain"];
const POSTGRES: &[&str] = &["encore-postgres-store"];
/// The rehearsal measures the stores alone as its baselines.
const REDIS: &[&str] = &["encore-redis-store", "encore-rehearsal"];
/// The rehearsal is a client of the server.
const WIRE: &[&str] = &["encore-proto", "encore-grpc", "encore-server", "encore-rehearsal"];
/// Events are published in protobuf.
const PROTOBUF: &[&str] = &["encore-event-format", "encore-proto", "encore-grpc", "encore-server", "encore-rehearsal"];

pub(super) const OUTSIDE: [OutsideRule; 9] = [
    OutsideRule { family: "tokio", users: Users::AllBut(DOMAIN) },
    OutsideRule { family: "serde", users: Users::AllBut(DOMAIN) },
    OutsideRule { family: "diesel", users: Users::Only(POSTGRES) },
    OutsideRule { family: "redis", users: Users::Only(REDIS) },
    OutsideRule { family: "bb8-redis", users: Users::Only(REDIS) },
    // (The tests of the server use its mock of a broker.)
    OutsideRule { family: "rdkafka", users: Users::Only(&["encore-events", "encore-server"]) },
    OutsideRule { family: "tokio-postgres", users: Users::Only(&["encore-postgres-store", "encore-rehearsal"]) },
    OutsideRule { family: "tonic", users: Users::Only(WIRE) },
    OutsideRule { family: "prost", users: Users::Only(PROTOBUF) },
];

impl OutsideRule {
    pub(super) fn covers(&self, dependency: &str) -> bool {
        dependency.strip_prefix(self.family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    }

    pub(super) fn allows(&self, package: &str) -> bool {
        match self.users {
            Users::Only(users) => users.contains(&package),
            Users::AllBut(others) => !others.contains(&package),
        }
    }
}
