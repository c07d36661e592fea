//! All keys and channels of this crate. The keys of one performance share the hash tag `{<performance>}`, so that its scripts
//! and transactions run on one node of a Redis Cluster.

use std::sync::Arc;

use encore_domain::ids::{PerformanceId, ReservationId};
use encore_domain::rate_limit::LimitKey;

/// Builds keys with a prefix.
#[derive(Clone)]
pub(crate) struct Keys {
    prefix: Arc<str>,
}

/// The keys of a performance's seats, in the order of the scripts' `KEYS`.
pub(crate) type SeatKeys = [String; 5];

impl Keys {
    pub(crate) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The state string, version and counts, owners of held and sold seats, deadlines of held seats, and records of fans.
    pub(crate) fn seats(&self, performance: PerformanceId) -> SeatKeys {
        [
            self.seats_state(performance),
            self.seats_about(performance),
            self.seats_owners(performance),
            self.seats_deadlines(performance),
            self.seats_fans(performance),
        ]
    }

    /// String: one byte per slot. It exists if and only if the seats are loaded.
    pub(crate) fn seats_state(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats")
    }

    /// Hash: `version`, and the numbers of `free` and `held` seats.
    pub(crate) fn seats_about(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:about")
    }

    /// Hash: slot of a held or sold seat → the 16 bytes of its reservation and the 16 of its fan.
    pub(crate) fn seats_owners(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:owners")
    }

    /// Sorted set: slots of held seats, by deadline in milliseconds.
    pub(crate) fn seats_deadlines(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:deadlines")
    }

    /// Hash: the 16 bytes of a fan → how many seats the fan has, and the reservations that seats were locked for.
    pub(crate) fn seats_fans(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:fans")
    }

    /// The five keys of the seats, the distances, and the seats that were chosen for this owner.
    pub(crate) fn seats_chosen_for(&self, performance: PerformanceId, owner: ReservationId) -> [String; 7] {
        let [state, about, owners, deadlines, fans] = self.seats(performance);
        let chosen = self.of(performance, &format!("seats:chosen:{owner}"));
        [state, about, owners, deadlines, fans, self.seats_distances(performance), chosen]
    }

    /// The five keys of the seats, and the units that were chosen for this owner.
    pub(crate) fn units_chosen_for(&self, performance: PerformanceId, owner: ReservationId) -> [String; 6] {
        let [state, about, owners, deadlines, fans, _, chosen] = self.seats_chosen_for(performance, owner);
        [state, about, owners, deadlines, fans, chosen]
    }

    /// String: 4 bytes per slot, the distance of the seat from the focal point of its section. The highest bit is set if it is
    /// accessible.
    pub(crate) fn seats_distances(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:distances")
    }

    /// Channel: changes of seats. The scripts derive its name from the key of the state string.
    pub(crate) fn seats_changes(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:changes")
    }

    /// Number: a counter of the loads with staged locks. The names of the staged keys contain it.
    pub(crate) fn seats_loads(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:loads")
    }

    /// Number: the time in milliseconds until which an instance may load the seats.
    pub(crate) fn seats_loading(&self, performance: PerformanceId) -> String {
        self.of(performance, "seats:loading")
    }

    /// Hash, sorted set and hash: the owners, deadlines and fans that a load has staged.
    pub(crate) fn seats_staged(&self, performance: PerformanceId, load: u64) -> [String; 3] {
        [
            self.of(performance, &format!("seats:staged:{load}:owners")),
            self.of(performance, &format!("seats:staged:{load}:deadlines")),
            self.of(performance, &format!("seats:staged:{load}:fans")),
        ]
    }

    /// Hash: the queue. Its scripts derive the names of its other keys from this one.
    pub(crate) fn queue(&self, performance: PerformanceId) -> String {
        self.of(performance, "queue")
    }

    /// String: when what was taken of a limit has run out, in milliseconds.
    pub(crate) fn rate_limit(&self, key: &LimitKey) -> String {
        format!("{}limit:{}", self.prefix, key.as_str())
    }

    fn of(&self, performance: PerformanceId, name: &str) -> String {
        format!("{}{{{performance}}}:{name}", self.prefix)
    }
}
