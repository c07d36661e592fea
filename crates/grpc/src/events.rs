//! `EventService`.

use std::sync::Arc;

use encore_app::event_log::{EventFilter, EventLogUseCases, LoggedEvent, Watched};
use encore_app::sessions::EndedSessions;
use encore_domain::event::OutboxPlace;
use encore_domain::page::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use encore_domain::ports::Clock;
use encore_event_format::{SOURCE, data_type, kind_of, to_proto};
use encore_proto::events::v1 as pb;
use encore_proto::events::v1::event_service_server::EventService;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tracing::warn;

use crate::authenticate::{access_ends_at, watch_session};
use crate::calls::Calls;
use crate::fields::Fields;
use crate::status::status;
use crate::streams::{Frames, end_on_shutdown, end_with_access, end_with_session};
use crate::to_proto::timestamp;

/// The most types that a filter names: all there are, and room for those to come.
const TYPES_MAX: usize = 32;

/// The handlers of `EventService`.
pub(crate) struct EventsApi {
    pub(crate) log: EventLogUseCases,
    pub(crate) calls: Calls,
    pub(crate) ended_sessions: EndedSessions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl EventService for EventsApi {
    async fn list_events(
        &self,
        request: Request<pb::ListEventsRequest>,
    ) -> Result<Response<pb::ListEventsResponse>, Status> {
        let message = request.into_inner();
        let mut fields = Fields::default();
        let size = if message.page_size == 0 { PAGE_SIZE_DEFAULT } else { message.page_size };
        let fits = if size <= PAGE_SIZE_MAX { Ok(size) } else { Err(format!("must be at most {PAGE_SIZE_MAX}")) };
        let size = fields.read("page_size", fits);
        let after = cursor(&mut fields, &message.cursor);
        let filter = filter(&mut fields, message.filter.as_ref());
        let (Some(size), Some(after), Some(filter)) = (size, after, filter) else {
            return Err(fields.into_status());
        };
        let page = self.calls.read(self.log.page(after.unwrap_or_default(), &filter, size)).await?;
        Ok(Response::new(pb::ListEventsResponse {
            events: page.events.iter().map(event_to_proto).collect(),
            next_cursor: cursor_text(page.end),
            has_more: page.has_more,
        }))
    }

    type WatchEventsStream = Frames<pb::WatchEventsResponse>;

    async fn watch_events(
        &self,
        request: Request<pb::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let (ends_at, session) = (access_ends_at(&request), watch_session(&request, &self.ended_sessions));
        let message = request.into_inner();
        let mut fields = Fields::default();
        let after = cursor(&mut fields, &message.cursor);
        let filter = filter(&mut fields, message.filter.as_ref());
        let (Some(after), Some(filter)) = (after, filter) else {
            return Err(fields.into_status());
        };
        let watched = self.calls.read(self.log.watch(after, filter)).await?;
        let frames = watched.map(|watched| Ok(frame(&watched.map_err(status)?)));
        let frames = end_with_access(frames, ends_at, Arc::clone(&self.clock));
        let frames = end_with_session(frames, session);
        Ok(Response::new(end_on_shutdown(frames, self.shutdown.clone())))
    }
}

/// The place of a cursor; none if it is empty.
#[expect(clippy::option_option, reason = "the outer is validity, the inner is presence")]
fn cursor(fields: &mut Fields, text: &str) -> Option<Option<OutboxPlace>> {
    if text.is_empty() {
        return Some(None);
    }
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number >= 0 && number.to_string() == text);
    let place = text
        .split_once('-')
        .and_then(|(window, sequence)| Some(OutboxPlace { window: number(window)?, sequence: number(sequence)? }));
    fields.read("cursor", place.ok_or("must be the cursor of an earlier response")).map(Some)
}

fn cursor_text(place: OutboxPlace) -> String {
    format!("{}-{}", place.window, place.sequence)
}

fn filter(fields: &mut Fields, filter: Option<&pb::EventFilter>) -> Option<EventFilter> {
    let Some(pb::EventFilter { types, performance_id }) = filter else { return Some(EventFilter::default()) };
    if types.len() > TYPES_MAX {
        fields.refuse("filter.types", format!("must name at most {TYPES_MAX}"));
        return None;
    }
    let mut kinds = Vec::with_capacity(types.len());
    for (index, name) in types.iter().enumerate() {
        let rule = "must be the full name of the data of an event, such as encore.events.v1.HoldPlaced";
        kinds.extend(fields.read(&format!("filter.types[{index}]"), kind_of(name).ok_or(rule)));
    }
    let performance = if performance_id.is_empty() {
        Some(None)
    } else {
        fields.id("filter.performance_id", performance_id).map(Some)
    };
    (kinds.len() == types.len()).then_some(())?;
    Some(EventFilter { kinds, performance: performance? })
}

fn frame(watched: &Watched) -> pb::WatchEventsResponse {
    match watched {
        Watched::Event(event) => {
            pb::WatchEventsResponse { event: Some(event_to_proto(event)), cursor: cursor_text(event.record.place) }
        }
        Watched::Nothing(end) => pb::WatchEventsResponse { event: None, cursor: cursor_text(*end) },
    }
}

/// An event; one that cannot be read or encoded has attributes alone.
fn event_to_proto(LoggedEvent { record, venue }: &LoggedEvent) -> pb::Event {
    let chart = venue.as_ref().map(|venue| &venue.chart);
    let encoded = match &record.event {
        Ok(event) => to_proto(event, chart).map_err(|error| error.to_string()),
        Err(unreadable) => Err(unreadable.to_string()),
    };
    encoded.unwrap_or_else(|reason| {
        warn!(event = record.id, reason, "event cannot be shown; it is sent without its data");
        pb::Event {
            id: record.id.clone(),
            source: SOURCE.to_owned(),
            r#type: data_type(&record.kind).unwrap_or_default().to_owned(),
            time: Some(timestamp(record.at)),
            subject: String::new(),
            partition_key: record.key.to_string(),
            data: None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_nothing_else_is_one() {
        for place in [OutboxPlace::default(), OutboxPlace { window: 12, sequence: 3_450 }] {
            let mut fields = Fields::default();
            assert_eq!(cursor(&mut fields, &cursor_text(place)), Some(Some(place)));
        }
        for text in ["12", "-", "1-", "-1-2", "1--2", "01-2", "1-2-3", "1-2 ", "9223372036854775808-0", "x-y"] {
            assert_eq!(cursor(&mut Fields::default(), text), None, "{text:?}");
        }
    }
}
