//! What all streams of the API share.

use std::pin::Pin;

use futures::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::status::shutting_down;

/// The frames of a stream.
pub(crate) type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

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
