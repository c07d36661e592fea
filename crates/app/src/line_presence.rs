//! Who is here: the fans whose streams are open on this instance, and those who asked a moment ago.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use encore_domain::ids::{PerformanceId, UserId};
use encore_domain::queue::QueueTicket;
use encore_domain::time::Timestamp;

use crate::error::AppError;

/// How many streams one fan may have open on an instance: a few devices, and reconnections that crossed.
const STREAMS_PER_FAN_MAX: u16 = 8;

/// A ticket of one line, without what it says besides: the same index of another run or lane is another fan's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Spot {
    epoch: i64,
    lane: u8,
    index: u64,
}

#[derive(Clone, Copy)]
struct Guest {
    user: UserId,
    /// 0 where the fan asked, or was here, since the last report; such a guest is forgotten with the next report.
    streams: u16,
    admitted_until: Option<Timestamp>,
}

/// The fans of one line who are here.
pub(crate) struct Presences {
    performance: PerformanceId,
    guests: Mutex<HashMap<Spot, Guest>>,
}

impl Presences {
    pub(crate) fn new(performance: PerformanceId) -> Self {
        Self { performance, guests: Mutex::default() }
    }

    /// A stream is opened.
    pub(crate) fn come(&self, ticket: &QueueTicket) -> Result<(), AppError> {
        let mut guests = self.lock();
        let guest = guests.entry(spot(ticket)).or_insert_with(|| guest(ticket));
        if guest.streams >= STREAMS_PER_FAN_MAX {
            return Err(AppError::Overloaded);
        }
        guest.streams += 1;
        guest.admitted_until = guest.admitted_until.max(ticket.admitted_until);
        Ok(())
    }

    /// A stream is closed. Until the next report the fan still counts as seen.
    pub(crate) fn go(&self, ticket: &QueueTicket) {
        if let Some(guest) = self.lock().get_mut(&spot(ticket)) {
            guest.streams = guest.streams.saturating_sub(1);
        }
    }

    /// A fan asked.
    pub(crate) fn ask(&self, ticket: &QueueTicket) {
        self.lock().entry(spot(ticket)).or_insert_with(|| guest(ticket));
    }

    /// A fan was admitted: what the fan's ticket says from now on.
    pub(crate) fn admitted(&self, ticket: &QueueTicket, until: Timestamp) {
        if let Some(guest) = self.lock().get_mut(&spot(ticket)) {
            guest.admitted_until = Some(until);
        }
    }

    /// Whether there is nobody.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// How many are here.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The tickets of those who are here, of one run of the line.
    pub(crate) fn tickets(&self, epoch: i64) -> Vec<QueueTicket> {
        let performance = self.performance;
        let ticket = |(spot, guest): (&Spot, &Guest)| QueueTicket {
            performance,
            user: guest.user,
            epoch: spot.epoch,
            lane: spot.lane,
            index: spot.index,
            admitted_until: guest.admitted_until,
        };
        self.lock().iter().filter(|(spot, _)| spot.epoch == epoch).map(ticket).collect()
    }

    /// Those who are here, and forgets the ones who only asked: after this they are reported.
    pub(crate) fn take_report(&self, epoch: i64) -> Vec<QueueTicket> {
        let tickets = self.tickets(epoch);
        let mut guests = self.lock();
        guests.retain(|_, guest| guest.streams > 0);
        // A crowd that has gone must not keep its room.
        if guests.capacity() > 4 * guests.len() {
            guests.shrink_to_fit();
        }
        tickets
    }

    /// What was taken could not be reported: it is reported the next time.
    pub(crate) fn put_back(&self, tickets: &[QueueTicket]) {
        let mut guests = self.lock();
        for ticket in tickets {
            guests.entry(spot(ticket)).or_insert_with(|| guest(ticket));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Spot, Guest>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spot(ticket: &QueueTicket) -> Spot {
    Spot { epoch: ticket.epoch, lane: ticket.lane, index: ticket.index }
}

fn guest(ticket: &QueueTicket) -> Guest {
    Guest { user: ticket.user, streams: 0, admitted_until: ticket.admitted_until }
}
