//! What all streams of the API share.

use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::Arc;

use encore_app::sessions::SessionWatch;
use encore_domain::ports::Clock;
use encore_domain::time::Timestamp;
use futures::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::status::{credentials_invalid, shutting_down};

/// The frames of a stream.
pub(crate) type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Sends the frames until the caller's access token ends, if it does, and then the status `CREDENTIALS_INVALID`. It is noticed with
/// the next frame, so nothing is sent after the end.
pub(crate) fn end_with_access<T: Send + 'static>(
    frames: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ends_at: Option<Timestamp>,
    clock: Arc<dyn Clock>,
) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
    frames.scan(false, move |has_ended, frame| {
        let had_ended = *has_ended;
        *has_ended = ends_at.is_some_and(|ends_at| ends_at <= clock.now());
        let frame = if *has_ended { Err(credentials_invalid()) } else { frame };
        ready((!had_ended).then_some(frame))
    })
}

/// Sends the frames until the caller's session ends, and then the status `CREDENTIALS_INVALID`.
pub(crate) fn end_with_session<T: Send + 'static>(
    frames: impl Stream<Item = Result<T, Status>> + Send + 'static,
    session: Option<SessionWatch>,
) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
    let ends = session.as_ref().map(|session| session.ends().clone());
    let ended = async move {
        match session {
            Some(session) => session.ends().cancelled().await,
            None => pending().await,
        }
    };
    let farewell = stream::once(async move { ends?.is_cancelled().then(|| Err(credentials_invalid())) });
    frames.take_until(ended).chain(farewell.filter_map(ready))
}

/// Sends the frames until shutdown, and then the status `SHUTTING_DOWN`, so that clients reconnect.
pub(crate) fn end_on_shutdown<T: Send + 'static>(
    frames: impl Stream<Item = Result<T, Status>> + Send + 'static,
    shutdown: CancellationToken,
) -> Frames<T> {
    let ended = shutdown.clone();
    let farewell = stream::once(async move { ended.is_cancelled().then(|| Err(shutting_down())) });
    let farewell = farewell.filter_map(|farewell| async move { farewell });
    Box::pin(frames.take_until(shutdown.cancelled_owned()).chain(farewell))
}
