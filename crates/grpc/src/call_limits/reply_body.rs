//! The body of a reply: its bytes count as in flight until they are sent, and it ends if nobody reads it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http_body::Frame;
use prost::bytes::Bytes;
use tonic::Status;
use tonic::body::Body;

use super::OpenCall;
use crate::connections::{UnsentReply, Usage};
use crate::status::reply_not_read;

/// A first message of at least so many bytes is taken away when it waits for too long. A smaller one waits for the end of its
/// connection.
const LARGE_BYTES: usize = 8 * 1024;
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
        let bytes = data.len();
        let data = usage.reply(data, is_shared);
        if bytes < LARGE_BYTES {
            return Self::Frame(Some(Ok(Frame::data(data))));
        }
        let unsent: UnsentReply = Arc::new(Mutex::new(Some(data)));
        usage.watch(&unsent);
        Self::Large(unsent)
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
                let data = unsent.lock().unwrap_or_else(PoisonError::into_inner).take();
                return Poll::Ready(Some(data.map(Frame::data).ok_or_else(reply_not_read)));
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
