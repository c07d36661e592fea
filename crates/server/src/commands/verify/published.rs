//! Compares the events that were acknowledged with those that are in the topic or in the files.

use std::path::PathBuf;

use clap::Args;
use encore_domain::error::Unavailable;
use encore_domain::event::relay::RelayPosition;
use encore_domain::event::{OutboxPlace, OutboxRecord};
use encore_domain::ports::{Outbox, RelayCursor};
use encore_events::{Acknowledged, CannotCompare, NotFound, Publication};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::commands::CommandError;
use crate::config::{ConfigErrors, KafkaArgs, KafkaTopic};

/// The name of the finding, beside those of the promises.
pub const NAME: &str = "event_not_published";
/// The most findings that are shown.
const SHOWN_MAX: usize = 100;
/// How many events are read at once.
const PAGE: u32 = 1_000;

/// Where events were published.
#[derive(Args)]
pub struct PublishedArgs {
    /// Also look for the events that were published in the files of this folder.
    #[arg(long, env = "ENCORE_EVENT_FILES")]
    event_files: Option<String>,
    /// Or in a topic of Kafka.
    #[command(flatten)]
    kafka: KafkaArgs,
}

/// Where events were published.
pub enum PublishedIn {
    /// To files in a folder.
    Files(PathBuf),
    /// To a topic.
    Topic(KafkaTopic),
}

/// What was found.
#[derive(Default)]
pub struct PublishedReport {
    /// How many events were looked for.
    compared: u64,
    /// How many are not there.
    pub missing: u64,
    /// How many are too old to be there.
    not_kept: u64,
    /// Some of those that are not there: id and key.
    findings: Vec<(String, String)>,
}

/// Why nothing was found out.
pub enum NotCompared {
    /// The command fails.
    Failed(CommandError),
    /// What was published could not be examined.
    NotExamined(CannotCompare),
}

impl From<CommandError> for NotCompared {
    fn from(error: CommandError) -> Self {
        Self::Failed(error)
    }
}

impl From<Unavailable> for NotCompared {
    fn from(error: Unavailable) -> Self {
        Self::Failed(error.into())
    }
}

impl PublishedArgs {
    /// Where events were published; none if it is not said.
    pub fn place(&self) -> Result<Option<PublishedIn>, CommandError> {
        let folder = self.event_files.as_deref().filter(|folder| *folder != "off");
        match (self.kafka.check()?, folder) {
            (Some(_), Some(_)) => {
                let why = "ENCORE_KAFKA_BROKERS: cannot be set together with ENCORE_EVENT_FILES";
                Err(ConfigErrors(vec![why.to_owned()]).into())
            }
            (Some(topic), None) => Ok(Some(PublishedIn::Topic(topic))),
            (None, folder) => Ok(folder.map(|folder| PublishedIn::Files(folder.into()))),
        }
    }
}

/// Whether the relay has told that an event is published.
fn is_acknowledged(position: &RelayPosition, record: &OutboxRecord) -> bool {
    let until = position.held_back(record.key).map_or(position.cursor, |held| held.published);
    record.place <= until
}

/// Compares what the outbox keeps of what was acknowledged. The relay may run.
pub async fn compare(
    outbox: &dyn Outbox,
    cursor: &dyn RelayCursor,
    place: PublishedIn,
) -> Result<PublishedReport, NotCompared> {
    // Before anything is read: what is acknowledged later is not looked for.
    let position = cursor.position().await?;
    let (mut acknowledged, mut report) = (Acknowledged::default(), PublishedReport::default());
    let mut read = OutboxPlace::default();
    while let Some(records) = next(outbox, &position, &mut read).await? {
        for record in records.iter().filter(|record| is_acknowledged(&position, record)) {
            acknowledged.add(record).map_err(NotCompared::NotExamined)?;
            report.compared += 1;
        }
    }
    if report.compared == 0 {
        return Ok(report);
    }
    let looking = spawn_blocking(move || match place {
        PublishedIn::Files(folder) => acknowledged.look_in_files(&folder),
        PublishedIn::Topic(KafkaTopic { servers, topic }) => acknowledged.look_in_topic(&servers, &topic),
    });
    let not_found = looking.await.map_err(CommandError::from)?.map_err(NotCompared::NotExamined)?;
    if !not_found.is_empty() {
        report.name(outbox, &position, &not_found).await?;
    }
    Ok(report)
}

/// The next records that the relay has passed; none at its cursor.
async fn next(
    outbox: &dyn Outbox,
    position: &RelayPosition,
    read: &mut OutboxPlace,
) -> Result<Option<Vec<OutboxRecord>>, CommandError> {
    if *read >= position.cursor {
        return Ok(None);
    }
    let page = outbox.after(*read, PAGE).await?;
    let is_end = page.end == *read;
    *read = page.end;
    Ok((!is_end).then_some(page.records))
}

impl PublishedReport {
    /// Reads the outbox once more, for what is not there.
    async fn name(
        &mut self,
        outbox: &dyn Outbox,
        position: &RelayPosition,
        not_found: &NotFound,
    ) -> Result<(), CommandError> {
        let mut read = OutboxPlace::default();
        while let Some(records) = next(outbox, position, &mut read).await? {
            for record in records.iter().filter(|record| is_acknowledged(position, record)) {
                match not_found.publication_of(record) {
                    Publication::Found => {}
                    Publication::NotKept => self.not_kept += 1,
                    Publication::Missing => {
                        self.missing += 1;
                        if self.findings.len() < SHOWN_MAX {
                            self.findings.push((record.id.clone(), record.key.to_string()));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Part of the report as JSON.
    pub fn as_json(&self) -> Value {
        let findings = self.findings.iter().map(|(event, key)| json!({ "event": event, "key": key }));
        json!({
            "name": NAME,
            "compared": self.compared,
            "missing": self.missing,
            "not_kept": self.not_kept,
            "findings": findings.collect::<Vec<_>>(),
        })
    }

    /// Part of the report for people.
    pub fn as_text(&self) -> String {
        let Self { compared, missing, not_kept, findings } = self;
        let mut text = vec![format!("\n{NAME:<20} {missing:>8}  {compared} events that were published")];
        if *not_kept > 0 {
            text.push(format!(", {not_kept} of them older than what is kept there"));
        }
        text.push("\n".to_owned());
        text.extend(findings.iter().map(|(event, key)| format!("  event {event} of key {key}\n")));
        if (findings.len() as u64) < *missing {
            text.push(format!("  and {} more\n", missing - findings.len() as u64));
        }
        text.concat()
    }
}
