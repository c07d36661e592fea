//! Every key this crate uses. All keys of one performance share the hash tag `{<performance>}`, so that its scripts and
//! transactions run on one node of a Redis Cluster.

use std::sync::Arc;

use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::request::RequestKey;

/// Makes keys under a prefix.
#[derive(Clone)]
pub(crate) struct Keys {
    prefix: Arc<str>,
}

/// The seats of a performance, in the order in which the scripts take them.
pub(crate) type SeatKeys = [String; 4];

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// State string, version and counts, owners of held seats, deadlines of held seats.
    pub(crate) fn seats(&self, performance: PerformanceId) -> SeatKeys {
        [
            self.seats_state(performance),
            self.seats_about(performance),
            self.seats_owners(performance),
            self.seats_deadlines(performance),
        ]
    }

    /// String: one byte per slot. Its existence means that the seats are loaded.
    pub(crate) fn seats_state(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats")
    }

    /// Hash: `version`, and how many seats are `free` and `held`.
    pub(crate) fn seats_about(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:about")
    }

    /// Hash: slot of a held seat → the 16 bytes of its owner.
    pub(crate) fn seats_owners(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:owners")
    }

    /// Sorted set: slots of held seats by deadline.
    pub(crate) fn seats_deadlines(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:deadlines")
    }

    /// State string, version and counts, owners, deadlines, distances, what this owner was given.
    pub(crate) fn seats_chosen_for(&self, performance: PerformanceId, owner: ReservationId) -> [String; 6] {
        let [state, about, owners, deadlines] = self.seats(performance);
        let given = self.of(performance, &format!("seats:given:{owner}"));
        [state, about, owners, deadlines, self.seats_distances(performance), given]
    }

    /// State string, version and counts, owners, deadlines, what this owner was given.
    pub(crate) fn units_chosen_for(&self, performance: PerformanceId, owner: ReservationId) -> [String; 5] {
        let [state, about, owners, deadlines, _, given] = self.seats_chosen_for(performance, owner);
        [state, about, owners, deadlines, given]
    }

    /// String: 4 bytes per slot, how far the seat is from the focal point of its section.
    pub(crate) fn seats_distances(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:distances")
    }

    /// Channel: what changes in the seats. The scripts make its name from that of the state.
    pub(crate) fn seats_changes(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:changes")
    }

    /// Number: how many loads have staged locks; it names the keys they stage them under.
    pub(crate) fn seats_loads(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:loads")
    }

    /// Number: until when somebody is loading the seats, in milliseconds.
    pub(crate) fn seats_loading(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:loading")
    }

    /// Owners and deadlines that a load has sent ahead.
    pub(crate) fn seats_staged(&self, performance: PerformanceId, load: u64) -> [String; 2] {
        [
            self.of(performance, &format!("seats:staged:{load}:owners")),
            self.of(performance, &format!("seats:staged:{load}:deadlines")),
        ]
    }

    /// Hash: the queue. Its scripts make the names of its other keys from this one.
    pub(crate) fn queue(&self, performance: PerformanceId) -> String {
        self.of(performance, "queue")
    }

    /// String: the fingerprint of a request. Each request is alone under its hash tag.
    pub(crate) fn request(&self, request: &RequestKey) -> String {
        format!("{}{{{}:{}}}:request", self.prefix, request.user, request.id)
    }

    fn of(&self, performance: PerformanceId, name: &str) -> String {
        format!("{}{{{performance}}}:{name}", self.prefix)
    }
}
