//! The body of a reply: its bytes count as in flight until they are sent, and it ends if nobody reads it.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::Frame;
use prost::bytes::Bytes;
use tonic::Status;
use tonic::body::Body;

use super::OpenCall;
use crate::connections::{UnsentReply, Usage};
use crate::status::reply_not_read;

/// A first message of more bytes is handed to the HTTP library in parts of this size. The library takes a part before the client
/// lets it be sent, and keeps it until then. The rest is taken away when it waits for too long.
const PART_BYTES: usize = 8 * 1024;
/// Messages of streams below this size are not counted: they are thinned before they are encoded.
const COUNTED_BYTES: usize = 1024;

type Polled = Poll<Option<Result<Frame<Bytes>, Status>>>;

pub(super) struct ReplyBody {
    first: First,
    body: Body,
    usage: Usage,
    _open: OpenCall,
}

/// The first frame, which was encoded ahead.
enum First {
    None,
    Frame(Option<Result<Frame<Bytes>, Status>>),
    Large(UnsentReply),
}

impl ReplyBody {
    pub(super) fn new(first: Polled, body: Body, is_shared: bool, open: OpenCall, usage: Usage) -> Self {
        let first = match first {
            Poll::Pending => First::None,
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => First::of(data, is_shared, &usage),
                Err(trailers) => First::Frame(Some(Ok(trailers))),
            },
            Poll::Ready(ended) => First::Frame(ended),
        };
        Self { first, body, usage, _open: open }
    }

    /// Whether the first message is large.
    pub(super) fn is_large(&self) -> bool {
        matches!(self.first, First::Large(_))
    }
}

impl First {
    fn of(data: Bytes, is_shared: bool, usage: &Usage) -> Self {
        let is_small = is_shared || data.len() <= PART_BYTES;
        let data = usage.reply(data, is_shared);
        if is_small { Self::Frame(Some(Ok(Frame::data(data)))) } else { Self::Large(usage.watch(data)) }
    }
}

impl http_body::Body for ReplyBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Polled {
        let this = self.get_mut();
        match std::mem::replace(&mut this.first, First::None) {
            First::Frame(frame) => return Poll::Ready(frame),
            First::Large(unsent) => {
                let Some(part) = unsent.part(PART_BYTES) else { return Poll::Ready(Some(Err(reply_not_read()))) };
                if !part.is_last {
                    this.first = First::Large(unsent);
                }
                return Poll::Ready(Some(Ok(Frame::data(this.usage.reply(part.data, false)))));
            }
            First::None => {}
        }
        let usage = &this.usage;
        let counted = |data: Bytes| {
            if data.len() >= COUNTED_BYTES {
                return usage.reply(data, false);
            }
            usage.note_sending();
            data
        };
        let frame = Pin::new(&mut this.body).poll_frame(context);
        frame.map(|frame| frame.map(|frame| frame.map(|frame| frame.map_data(counted))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.first, First::None) && self.body.is_end_stream()
    }
}
