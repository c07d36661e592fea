//! `encore verify`.

mod published;

use std::error::Error;
use std::fmt::Write;

use clap::Args;
use encore_domain::audit::{AuditReport, Promise, PromiseReport};
use encore_events::CannotCompare;
use encore_grpc::GuardedRpcs;
use encore_redis_store::Redis;
use serde_json::{Value, json};

use self::published::{NotCompared, PublishedArgs, PublishedReport};
use crate::commands::{CommandError, ports, unmigrated};
use crate::config::{StoreArgs, Stores};
use crate::encore::Encore;
use crate::output::print_line;

/// The arguments of `encore verify`.
#[derive(Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    stores: StoreArgs,
    /// Where events were published, to look for them there.
    #[command(flatten)]
    published: PublishedArgs,
    /// Print the report as one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// The note below a report that was made without Redis.
const STORED_ONLY: &str = "queues and seat state were not examined: ENCORE_REDIS_URL is not set";

/// Audits the stored data, with queues and seat state if Redis is configured, and looks for what was published where that is configured.
/// Applies no migrations and writes nothing.
pub async fn run(args: &VerifyArgs) -> Result<(), CommandError> {
    let Stores::Durable { database, redis } = args.stores.check()? else {
        return Err(CommandError::Usage("ENCORE_DATABASE_URL: must be set, it names the database to verify".into()));
    };
    let place = args.published.place()?;
    let ports = ports()?.on_postgres(&unmigrated(&database)).await?;
    let (outbox, cursor) = (ports.outbox.clone(), ports.relay_cursor.clone());
    let report = match redis {
        Some(redis) => {
            let ports = ports.with_redis(Redis::open(&redis.servers()?, &redis.prefix).await?);
            Encore::new(ports, GuardedRpcs::default()).api.audit.verify(None).await?
        }
        None => Encore::new(ports, GuardedRpcs::default()).api.audit.verify_stored().await?,
    };
    let compared = match place {
        Some(place) => Some(published::compare(&*outbox, &*cursor, place).await),
        None => None,
    };
    let (published, unexamined) = match compared.transpose() {
        Ok(published) => (published, None),
        Err(NotCompared::NotExamined(why)) => (None, Some(why)),
        Err(NotCompared::Failed(error)) => return Err(error),
    };
    let text = if args.json {
        as_json(&report, published.as_ref(), unexamined.as_ref()).to_string()
    } else {
        as_table(&report) + &published.as_ref().map(PublishedReport::as_text).unwrap_or_default()
    };
    print_line(text.trim_end())?;
    let broken = Promise::ALL.into_iter().filter(|promise| report.broken(*promise) > 0).map(Promise::name);
    let is_missing = published.is_some_and(|published| published.missing > 0);
    let broken: Vec<String> = broken.chain(is_missing.then_some(published::NAME)).map(str::to_owned).collect();
    match unexamined {
        _ if !broken.is_empty() => Err(CommandError::PromisesBroken(broken)),
        Some(why) => Err(CommandError::PublishedNotExamined(why)),
        None => Ok(()),
    }
}

fn as_json(report: &AuditReport, published: Option<&PublishedReport>, unexamined: Option<&CannotCompare>) -> Value {
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
    let is_clean = report.is_clean() && published.is_none_or(|published| published.missing == 0);
    let mut json = json!({ "clean": is_clean, "promises": Promise::ALL.map(promise) });
    if let Some(published) = published {
        json["published"] = published.as_json();
    }
    if let Some(why) = unexamined {
        let cause = why.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        json["published"] = json!({ "name": published::NAME, "not_examined": format!("{why}{cause}") });
    }
    json
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
