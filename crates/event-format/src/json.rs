//! The JSON of a CloudEvent, one a line, with the data in the JSON of protobuf.

use std::sync::LazyLock;

use chrono::{DateTime, SecondsFormat, Utc};
use encore_domain::event::message::EventMessage;
use encore_proto::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::SOURCE;

const CLOUD_EVENTS_VERSION: &str = "1.0";
const JSON: &str = "application/json";

/// The types of the contract; none if the descriptors were unreadable, which a test excludes.
static TYPES: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());

/// Not an event, or not one of this version.
#[derive(Debug, Error)]
pub enum NotAnEvent {
    /// Its data is of a type that this version does not know.
    #[error("its type is unknown: {0}")]
    Type(String),
    /// Its data is not what its type says.
    #[error("its data is not of its type")]
    Data(#[from] prost::DecodeError),
    /// It is not the JSON of an event.
    #[error("it is not the JSON of an event")]
    Json(#[from] serde_json::Error),
    /// An attribute is not what it must be.
    #[error("its attribute {0} is invalid")]
    Attribute(&'static str),
}

#[derive(Serialize, Deserialize)]
struct JsonEvent {
    specversion: String,
    id: String,
    source: String,
    r#type: String,
    time: String,
    subject: String,
    partitionkey: String,
    datacontenttype: String,
    data: Value,
}

fn descriptor(data_type: &str) -> Result<MessageDescriptor, NotAnEvent> {
    let found = TYPES.as_ref().and_then(|types| types.get_message_by_name(data_type));
    found.ok_or_else(|| NotAnEvent::Type(data_type.to_owned()))
}

/// An event as one line, without its end.
pub fn to_json_line(event: &EventMessage) -> Result<String, NotAnEvent> {
    let data = DynamicMessage::decode(descriptor(&event.data_type)?, event.data.as_slice())?;
    let line = JsonEvent {
        specversion: CLOUD_EVENTS_VERSION.to_owned(),
        id: event.id.clone(),
        source: SOURCE.to_owned(),
        r#type: event.data_type.clone(),
        time: event.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        subject: event.subject.clone(),
        partitionkey: event.key.clone(),
        datacontenttype: JSON.to_owned(),
        data: serde_json::to_value(data)?,
    };
    Ok(serde_json::to_string(&line)?)
}

/// The event of a line.
pub fn from_json_line(line: &str) -> Result<EventMessage, NotAnEvent> {
    let line: JsonEvent = serde_json::from_str(line)?;
    if line.specversion != CLOUD_EVENTS_VERSION {
        return Err(NotAnEvent::Attribute("specversion"));
    }
    let time = DateTime::parse_from_rfc3339(&line.time).map_err(|_| NotAnEvent::Attribute("time"))?;
    if line.partitionkey.is_empty() {
        return Err(NotAnEvent::Attribute("partitionkey"));
    }
    let data = DynamicMessage::deserialize(descriptor(&line.r#type)?, line.data)?;
    Ok(EventMessage {
        id: line.id,
        data_type: line.r#type,
        subject: line.subject,
        at: time.with_timezone(&Utc),
        key: line.partitionkey,
        data: data.encode_to_vec(),
    })
}

/// The key of the event of a line. The event is not read.
pub fn key_of_line(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Keyed {
        partitionkey: String,
    }
    serde_json::from_str::<Keyed>(line).ok().map(|keyed| keyed.partitionkey)
}

#[cfg(test)]
mod tests {
    use encore_port_tests::fixtures::{event_of_kind, one_event_of_each_kind, small_chart};

    use super::*;
    use crate::encode;

    #[test]
    fn every_event_is_read_from_its_line_as_it_was() {
        for event in one_event_of_each_kind() {
            let message = encode(&event, Some(&small_chart())).expect("an event that can be encoded");
            let line = to_json_line(&message).expect("a line");
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(key_of_line(&line).as_ref(), Some(&message.key));
            assert_eq!(from_json_line(&line).expect("an event"), message);
        }
    }

    #[test]
    fn a_line_is_a_cloud_event_with_readable_data() {
        let event = event_of_kind("wallet.topped_up");
        let message = encode(&event, None).expect("an event that can be encoded");
        let line: Value = serde_json::from_str(&to_json_line(&message).expect("a line")).expect("JSON");
        assert_eq!(line["specversion"], "1.0");
        assert_eq!(line["type"], "encore.events.v1.WalletToppedUp");
        assert_eq!(line["id"], event.id());
        assert_eq!(line["time"], "2026-06-01T10:00:20.000Z");
        assert_eq!(line["data"]["amount"]["currencyCode"], "EUR");
        assert_eq!(line["data"]["toppedUpAt"], "2026-06-01T10:00:20Z");
    }

    #[test]
    fn what_is_not_an_event_is_refused() {
        let message = encode(&event_of_kind("wallet.topped_up"), None).expect("an event that can be encoded");
        let other = EventMessage { data_type: "encore.events.v1.WalletEmptied".into(), ..message.clone() };
        assert!(matches!(to_json_line(&other), Err(NotAnEvent::Type(_))));
        let torn = EventMessage { data: message.data[..7].to_vec(), ..message.clone() };
        assert!(matches!(to_json_line(&torn), Err(NotAnEvent::Data(_))));
        let line = to_json_line(&message).expect("a line");
        assert!(matches!(from_json_line(&line[..line.len() / 2]), Err(NotAnEvent::Json(_))));
        assert!(from_json_line(&line.replace("toppedUpAt", "emptiedAt")).is_err());
    }
}
