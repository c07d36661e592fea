use async_trait::async_trait;
use encore_domain::booking::seat_state::{SeatChange, SeatNews};
use encore_domain::catalog::seat_chart::Slot;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{SeatChanges, SeatListener};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::connection::Redis;
use crate::seat_bytes;
use crate::subscriptions::{Received, Subscriptions};

/// [`SeatChanges`] over Redis pub/sub. The scripts that change seats publish each change on the channel of the performance.
///
/// All performances share one connection. When it breaks, it is replaced, and every listener receives [`SeatNews::Missed`].
#[derive(Clone)]
pub struct RedisSeatChanges {
    redis: Redis,
    subscriptions: Subscriptions,
}

impl RedisSeatChanges {
    /// Subscribes on this Redis. The connection is opened by the first listener.
    pub fn new(redis: Redis) -> Self {
        let subscriptions = Subscriptions::new(redis.servers.clone());
        Self { redis, subscriptions }
    }
}

#[async_trait]
impl SeatChanges for RedisSeatChanges {
    async fn listen(&self, performance: PerformanceId) -> Result<Box<dyn SeatListener>, Unavailable> {
        let receiver = self.subscriptions.subscribe(self.redis.keys.seats_changes(performance)).await?;
        Ok(Box::new(Listener(receiver)))
    }
}

struct Listener(Receiver<Received>);

#[async_trait]
impl SeatListener for Listener {
    async fn next(&mut self) -> SeatNews {
        match self.0.recv().await {
            Ok(Received::Message(message)) => parse(&message).map_or(SeatNews::Missed, SeatNews::Changed),
            Ok(Received::Gap) | Err(RecvError::Lagged(_)) => SeatNews::Missed,
            // The worker has ended: the process is shutting down.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Parses a message of `publish.lua`: the version, and the slot and the byte of each seat. Any other message, such as
/// one for too many seats, is none; the listener then reads the state.
fn parse(message: &[u8]) -> Option<SeatChange> {
    let mut fields = std::str::from_utf8(message).ok()?.split(' ');
    let version = fields.next()?.parse().ok()?;
    let seats = fields.map(|seat| {
        let (slot, byte) = seat.split_at_checked(seat.len().checked_sub(1)?)?;
        Some((Slot(slot.parse().ok()?), seat_bytes::status(*byte.as_bytes().first()?)?))
    });
    Some(SeatChange { version, seats: seats.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use encore_domain::booking::seat_state::SeatStatus;

    use super::*;

    #[test]
    fn a_change_is_parsed_as_it_was_published() {
        let change = SeatChange {
            version: 1_790_000_000_000_017,
            seats: vec![(Slot(0), SeatStatus::Held), (Slot(41), SeatStatus::Free)],
        };
        assert_eq!(parse(b"1790000000000017 0h 41a"), Some(change));
    }

    #[test]
    fn a_message_without_seats_is_no_change() {
        for message in ["17 *", "17 ", "17 h", "", "x 1h", "17 1h é", "17 1_", "17 1z"] {
            assert_eq!(parse(message.as_bytes()), None, "{message:?}");
        }
    }
}
