use async_trait::async_trait;
use encore_domain::error::Unavailable;
use encore_domain::ids::PerformanceId;
use encore_domain::ports::{SeatChanges, SeatListener};
use encore_domain::seat_chart::Slot;
use encore_domain::seat_state::{SeatChange, SeatNews};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::connection::Redis;
use crate::subscriptions::{Heard, Subscriptions};

/// [`SeatChanges`] as Redis publishes them: the scripts that change seats publish on the channel of the performance.
///
/// All performances share one connection, which is made anew when it breaks; then every listener is told that it may have
/// missed something.
#[derive(Clone)]
pub struct RedisSeatChanges {
    redis: Redis,
    subscriptions: Subscriptions,
}

impl RedisSeatChanges {
    /// Hears what is published in this Redis. The connection for it is made when somebody listens.
    pub fn new(redis: Redis) -> Self {
        let subscriptions = Subscriptions::new(redis.servers.clone());
        Self { redis, subscriptions }
    }
}

#[async_trait]
impl SeatChanges for RedisSeatChanges {
    async fn listen(&self, performance: PerformanceId) -> Result<Box<dyn SeatListener>, Unavailable> {
        let heard = self.subscriptions.subscribe(self.redis.keys.seats_changes(performance)).await?;
        Ok(Box::new(Listener(heard)))
    }
}

struct Listener(Receiver<Heard>);

#[async_trait]
impl SeatListener for Listener {
    async fn next(&mut self) -> SeatNews {
        match self.0.recv().await {
            Ok(Heard::Word(word)) => read(&word).map_or(SeatNews::Missed, SeatNews::Changed),
            Ok(Heard::Silence) | Err(RecvError::Lagged(_)) => SeatNews::Missed,
            // Nobody subscribes any more: the process is going down.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Reads what `tell.lua` writes: the version, and then each seat's slot and byte. Whatever else it is, it is a change that
/// only the state shows.
fn read(word: &[u8]) -> Option<SeatChange> {
    let mut words = std::str::from_utf8(word).ok()?.split(' ');
    let version = words.next()?.parse().ok()?;
    let seats = words.map(|seat| {
        let (slot, byte) = seat.split_at_checked(seat.len().checked_sub(1)?)?;
        Some((Slot(slot.parse().ok()?), *byte.as_bytes().first()?))
    });
    Some(SeatChange { version, seats: seats.collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_as_it_is_told() {
        let change = SeatChange { version: 1_790_000_000_000_017, seats: vec![(Slot(0), b'h'), (Slot(41), b'a')] };
        assert_eq!(read(b"1790000000000017 0h 41a"), Some(change));
    }

    #[test]
    fn what_names_no_seats_is_not_read() {
        for word in ["17 *", "17 ", "17 h", "", "x 1h", "17 1h é"] {
            assert_eq!(read(word.as_bytes()), None, "{word:?}");
        }
    }
}
