//! Events on their way out of Encore.

use std::collections::HashSet;

use crate::time::Timestamp;

/// The most bytes of the data of an event that can be published. Brokers take messages of a megabyte, with their headers.
pub const EVENT_DATA_BYTES_MAX: usize = 1_000_000;

/// An event as it is published: the attributes of a CloudEvent, and the encoded change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMessage {
    /// See [`Event::id`](crate::event::Event::id).
    pub id: String,
    /// The full name of the protobuf message in `data`.
    pub data_type: String,
    /// What it is about, such as `reservations/…`.
    pub subject: String,
    /// When the change was made.
    pub at: Timestamp,
    /// Events of one key are published in order. A UUID, or for a seat that of the performance, `/` and the seat's ID.
    pub key: String,
    /// The encoded change.
    pub data: Vec<u8>,
}

/// What became of an event of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// It is published and durable.
    Published,
    /// It can never be published as it is, for this reason.
    Refused(String),
    /// It was not published, because it comes after a refused event of its key.
    Waiting,
}

/// What can be published of a batch: all but what `refuse` refuses, and what comes after that under the same key.
pub fn publishable<'batch>(
    batch: &'batch [EventMessage],
    mut refuse: impl FnMut(&EventMessage) -> Option<String>,
) -> Vec<PublishOutcome> {
    let mut refused = HashSet::new();
    let mut outcome = |event: &'batch EventMessage| {
        if refused.contains(event.key.as_str()) {
            return PublishOutcome::Waiting;
        }
        match refuse(event) {
            Some(reason) => {
                refused.insert(event.key.as_str());
                PublishOutcome::Refused(reason)
            }
            None => PublishOutcome::Published,
        }
    };
    batch.iter().map(&mut outcome).collect()
}

/// The reason to refuse an event that is too large.
pub fn too_large(event: &EventMessage) -> Option<String> {
    let bytes = event.data.len();
    (bytes > EVENT_DATA_BYTES_MAX).then(|| format!("its data has {bytes} bytes, more than {EVENT_DATA_BYTES_MAX}"))
}
