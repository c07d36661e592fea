use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::event::message::{EventMessage, PublishOutcome, publishable, too_large};
use encore_domain::ports::EventPublisher;
use encore_event_format::{key_of_line, to_json_line};
use tracing::warn;

use crate::file::{lock_soon, open_to_append, own, private, sync, write};

/// What the publisher is called in errors.
const WHAT: &str = "compacted event file";
/// The file.
const CURRENT: &str = "seats.jsonl";
/// Its successor, while it is written.
const NEXT: &str = "seats.jsonl.next";
/// Locked while a process writes.
const LOCK: &str = "seats.lock";

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactedLimits {
    /// Up to this size the file is not compacted.
    pub compacted_from: u64,
    /// What is larger after it was compacted loses its oldest lines.
    pub bytes_max: u64,
}

/// [`EventPublisher`] to a file of JSON lines that keeps the latest line of each key, as a compacted topic of Kafka does: a file that is
/// rotated would lose what has not changed for long.
///
/// The file is compacted when it is twice as large as after the last time. Several processes may have the same folder: each locks it for
/// a batch.
#[derive(Clone, Debug)]
pub struct CompactedFilePublisher {
    folder: PathBuf,
    limits: CompactedLimits,
    /// The size of the file after it was compacted last.
    compacted: Arc<AtomicU64>,
}

impl CompactedFilePublisher {
    /// Publishes to `seats.jsonl` in this folder, which is created when there is something to write.
    pub fn new(folder: PathBuf, limits: CompactedLimits) -> Self {
        Self { folder, limits, compacted: Arc::default() }
    }

    /// Appends lines. When it returns, they are on the disk.
    fn append(&self, lines: &[String]) -> io::Result<()> {
        let folder = &self.folder;
        own(folder)?;
        let lock = private().append(true).open(folder.join(LOCK))?;
        lock_soon(&lock)?;
        let (mut file, bytes) = open_to_append(folder, CURRENT)?;
        let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        write(&mut file, &text)?;
        let (bytes, before) = (bytes + text.len() as u64, self.compacted.load(Ordering::Relaxed));
        if bytes > self.limits.compacted_from.max(before.saturating_mul(2)) {
            let compacted = compact(folder, self.limits.bytes_max)?;
            self.compacted.store(compacted, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[async_trait]
impl EventPublisher for CompactedFilePublisher {
    async fn publish(&self, batch: &[EventMessage]) -> Result<Vec<PublishOutcome>, Unavailable> {
        let mut lines = Vec::with_capacity(batch.len());
        let outcomes = publishable(batch, |event| match to_json_line(event) {
            _ if too_large(event).is_some() => too_large(event),
            Ok(line) => {
                lines.push(line);
                None
            }
            Err(error) => Some(error.to_string()),
        });
        if !lines.is_empty() {
            let publisher = self.clone();
            let writing = tokio::task::spawn_blocking(move || publisher.append(&lines));
            writing.await.map_err(io::Error::other).flatten().map_err(|error| Unavailable::new(WHAT, error))?;
        }
        Ok(outcomes)
    }
}

/// The lines of the file in a folder, in order, without one that is being written. None if there is no file.
pub fn compacted_file(folder: &Path) -> io::Result<Option<Vec<String>>> {
    let file = match fs::File::open(folder.join(CURRENT)) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    whole_lines(file).map(Some)
}

fn whole_lines(mut file: impl BufRead) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        file.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Ok(lines);
        }
        lines.push(String::from_utf8(line).map_err(io::Error::other)?);
    }
}

/// Replaces the file by one with the latest line of each key, in order. Returns its size.
fn compact(folder: &Path, bytes_max: u64) -> io::Result<u64> {
    let lines = compacted_file(folder)?.unwrap_or_default();
    let (mut seen, mut kept, mut bytes) = (HashSet::new(), Vec::new(), 0);
    for line in lines.iter().rev() {
        // What is not a line of this publisher is not kept.
        if !key_of_line(line).is_some_and(|key| seen.insert(key)) {
            continue;
        }
        let with_line = bytes + line.len() as u64 + 1;
        if with_line > bytes_max {
            warn!(folder = %folder.display(), bytes_max, "the compacted file of seats is full; its oldest lines are dropped");
            break;
        }
        bytes = with_line;
        kept.push(line);
    }
    let text: String = kept.into_iter().rev().flat_map(|line| [line.as_str(), "\n"]).collect();
    let next = folder.join(NEXT);
    write(&mut private().write(true).truncate(true).open(&next)?, &text)?;
    fs::rename(&next, folder.join(CURRENT))?;
    sync(folder)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let id: uuid::Uuid = encore_port_tests::fixtures::id();
            let name = format!("encore-compacted-files-{}-{}", std::process::id(), id.simple());
            Self(std::env::temp_dir().join(name))
        }

        fn publisher(&self, limits: CompactedLimits) -> CompactedFilePublisher {
            CompactedFilePublisher::new(self.0.clone(), limits)
        }

        fn lines(&self) -> Vec<String> {
            compacted_file(&self.0).expect("the file can be read").expect("a file")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn line(key: &str, number: u32) -> String {
        format!(r#"{{"partitionkey":"{key}","n":{number}}}"#)
    }

    #[test]
    fn the_latest_line_of_each_key_is_kept() {
        let folder = Folder::new();
        assert_eq!(compacted_file(&folder.0).expect("no error"), None);
        let publisher = folder.publisher(CompactedLimits { compacted_from: 100, bytes_max: 1_000 });
        let append = |lines: &[String]| publisher.append(lines).expect("the lines are written");
        append(&[line("a", 1), line("b", 1)]);
        append(&[line("a", 2)]);
        assert_eq!(folder.lines().len(), 3, "it is small");
        append(&[line("a", 3), line("c", 1)]);
        assert_eq!(folder.lines(), [line("b", 1), line("a", 3), line("c", 1)]);
        append(&[line("b", 2)]);
        assert_eq!(folder.lines().len(), 4, "it has not doubled");
    }

    #[test]
    fn what_is_too_large_loses_its_oldest_lines() {
        let folder = Folder::new();
        let bytes = line("a", 1).len() as u64 + 1;
        let publisher = folder.publisher(CompactedLimits { compacted_from: bytes, bytes_max: bytes * 2 });
        publisher.append(&[line("a", 1), line("b", 1), line("c", 1)]).expect("the lines are written");
        assert_eq!(folder.lines(), [line("b", 1), line("c", 1)]);
    }

    #[test]
    fn a_torn_line_is_neither_read_nor_kept() {
        let folder = Folder::new();
        let publisher = folder.publisher(CompactedLimits { compacted_from: 1_000, bytes_max: 1_000 });
        publisher.append(&[line("a", 1)]).expect("the line is written");
        let mut file = OpenOptions::new().append(true).open(folder.0.join(CURRENT)).expect("the file");
        file.write_all(br#"{"partitionkey":"b""#).expect("a torn line");
        assert_eq!(folder.lines(), [line("a", 1)]);
        publisher.append(&[line("c", 1)]).expect("the line is written");
        assert_eq!(folder.lines(), [line("a", 1), line("c", 1)]);
    }
}
