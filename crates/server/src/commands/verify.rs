//! `encore verify`.

use std::fmt::Write;

use clap::Args;
use encore_domain::audit::{AuditReport, Promise, PromiseReport};
use encore_grpc::GuardedRpcs;
use encore_redis_store::Redis;
use serde_json::{Value, json};

use crate::commands::{CommandError, ports, unmigrated};
use crate::config::{StoreArgs, Stores};
use crate::encore::Encore;
use crate::output::print_line;

/// The arguments of `encore verify`.
#[derive(Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    stores: StoreArgs,
    /// Print the report as one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// The note below a report that was made without Redis.
const STORED_ONLY: &str = "queues and seat state were not examined: ENCORE_REDIS_URL is not set";

/// Audits the stored data, with queues and seat state if Redis is configured. Applies no migrations and writes nothing.
pub async fn run(args: &VerifyArgs) -> Result<(), CommandError> {
    let Stores::Durable { database, redis } = args.stores.check()? else {
        return Err(CommandError::Usage("ENCORE_DATABASE_URL: must be set, it names the database to verify".into()));
    };
    let ports = ports()?.on_postgres(&unmigrated(&database)).await?;
    let report = match redis {
        Some(redis) => {
            let ports = ports.with_redis(Redis::open(&redis.servers()?, &redis.prefix).await?);
            Encore::new(ports, GuardedRpcs::default()).api.audit.verify(None).await?
        }
        None => Encore::new(ports, GuardedRpcs::default()).api.audit.verify_stored().await?,
    };
    let text = if args.json { as_json(&report).to_string() } else { as_table(&report) };
    print_line(text.trim_end())?;
    let broken: Vec<&str> =
        Promise::ALL.into_iter().filter(|promise| report.broken(*promise) > 0).map(Promise::name).collect();
    if broken.is_empty() {
        Ok(())
    } else {
        Err(CommandError::PromisesBroken(broken.into_iter().map(str::to_owned).collect()))
    }
}

fn as_json(report: &AuditReport) -> Value {
    let promise = |promise: Promise| {
        let found = report.of(promise);
        let findings = found.map(|found| found.findings.as_slice()).unwrap_or_default();
        let findings = findings.iter().map(|it| json!({ "subject": it.subject, "detail": it.detail }));
        json!({
            "name": promise.name(),
            "examines": promise.examines(),
            "examined": found.map(|found| found.examined),
            "broken": report.broken(promise),
            "findings": findings.collect::<Vec<_>>(),
        })
    };
    json!({ "clean": report.is_clean(), "promises": Promise::ALL.map(promise) })
}

fn as_table(report: &AuditReport) -> String {
    let mut table = format!("{:<20} {:>8}  examined\n", "promise", "broken");
    for promise in Promise::ALL {
        let line = match report.of(promise) {
            Some(PromiseReport { examined, broken, .. }) => format!("{broken:>8}  {examined} {}", promise.examines()),
            None => format!("{:>8}  not examined", "?"),
        };
        let _ = writeln!(table, "{:<20} {line}", promise.name());
    }
    if report.of(Promise::SeatStateDiffers).is_none() {
        let _ = writeln!(table, "\n{STORED_ONLY}");
    }
    for (promise, found) in Promise::ALL.into_iter().filter_map(|promise| Some((promise, report.of(promise)?))) {
        if found.broken == 0 {
            continue;
        }
        let _ = writeln!(table, "\n{}: {} findings", promise.name(), found.broken);
        for finding in &found.findings {
            let _ = writeln!(table, "  {}: {}", finding.subject, finding.detail);
        }
        let shown = u64::try_from(found.findings.len()).unwrap_or(u64::MAX);
        if shown < found.broken {
            let _ = writeln!(table, "  and {} more", found.broken - shown);
        }
    }
    table
}
