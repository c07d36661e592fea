//! The contract of `EventPublisher` on files: those that are rotated, and the one that is compacted.
#![expect(clippy::expect_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use encore_domain::event::message::EventMessage;
use encore_event_format::from_json_line;
use encore_events::{CompactedFilePublisher, CompactedLimits, FileLimits, FilePublisher, compacted_file, event_files};
use encore_port_tests::{PublisherBench, fixtures};
use uuid::Uuid;

/// A folder of its own, which is removed when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let id: Uuid = fixtures::id();
        Self(std::env::temp_dir().join(format!("encore-events-{}-{}", std::process::id(), id.simple())))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn events_in(folder: &Path) -> Vec<EventMessage> {
    let files = event_files(folder).expect("the folder can be read");
    let lines = files.iter().map(|path| fs::read_to_string(path).expect("a file"));
    lines
        .flat_map(|text| text.lines().map(|line| from_json_line(line).expect("an event")).collect::<Vec<_>>())
        .collect()
}

/// `WalletToppedUp` with the number as the id of the transfer, which is field 2.
fn data(number: u32) -> Vec<u8> {
    let text = number.to_string();
    let length = u8::try_from(text.len()).expect("a short text");
    [&[2 << 3 | 2, length], text.as_bytes()].concat()
}

async fn bench() -> PublisherBench {
    let folder = Folder::new();
    // So small that files are rotated.
    let limits = FileLimits { file_bytes_max: 4_000, files_max: 1_000 };
    let path = folder.0.clone();
    PublisherBench {
        publisher: Arc::new(FilePublisher::new(path.clone(), limits)),
        data: ("encore.events.v1.WalletToppedUp", data),
        read: Box::new(move |_| {
            let path = path.clone();
            Box::pin(async move { events_in(&path) })
        }),
        keep: Box::new(folder),
    }
}

encore_port_tests::event_publisher!(bench);

mod compacted {
    use super::*;

    async fn bench() -> PublisherBench {
        let folder = Folder::new();
        // So large that it is not compacted: the cases read all that was published.
        let limits = CompactedLimits { compacted_from: 1_000_000, bytes_max: 2_000_000 };
        let path = folder.0.clone();
        PublisherBench {
            publisher: Arc::new(CompactedFilePublisher::new(path.clone(), limits)),
            data: ("encore.events.v1.WalletToppedUp", data),
            read: Box::new(move |_| {
                let lines = compacted_file(&path).expect("the file can be read").unwrap_or_default();
                let events = lines.iter().map(|line| from_json_line(line).expect("an event")).collect();
                Box::pin(async move { events })
            }),
            keep: Box::new(folder),
        }
    }

    encore_port_tests::event_publisher!(bench);
}
