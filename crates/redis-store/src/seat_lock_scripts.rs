//! The scripts of the seat locks. Those that share functions are prefixed with the files that have them.

use std::sync::LazyLock;

use encore_domain::booking::best_available::DISTANCE_MAX;
use encore_domain::booking::seat_state::CHANGE_SEATS_MAX;
use encore_domain::ports::RESERVATIONS_REMEMBERED;
use redis::Script;

use crate::seat_search_arguments::ACCESSIBLE;

// The scripts have these values as literals.
const _: () = assert!(
    CHANGE_SEATS_MAX == 100 && RESERVATIONS_REMEMBERED == 16 && ACCESSIBLE == 0x8000_0000 && DISTANCE_MAX < ACCESSIBLE
);

pub(crate) static LOAD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/seat_locks/load.lua")));
pub(crate) static MAY_LOAD: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("lua/seat_locks/may_load.lua")));
pub(crate) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("lua/seat_locks/publish.lua"),
        include_str!("lua/seat_locks/fans.lua"),
        include_str!("lua/seat_locks/take.lua")
    ))
});
pub(crate) static TAKE_BEST: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("lua/seat_locks/publish.lua"),
        include_str!("lua/seat_locks/fans.lua"),
        include_str!("lua/seat_locks/choosing.lua"),
        include_str!("lua/seat_locks/take_best.lua")
    ))
});
pub(crate) static TAKE_UNITS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("lua/seat_locks/publish.lua"),
        include_str!("lua/seat_locks/fans.lua"),
        include_str!("lua/seat_locks/choosing.lua"),
        include_str!("lua/seat_locks/take_units.lua")
    ))
});
pub(crate) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("lua/seat_locks/publish.lua"),
        include_str!("lua/seat_locks/fans.lua"),
        include_str!("lua/seat_locks/release.lua")
    ))
});
pub(crate) static UNBLOCK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("lua/seat_locks/publish.lua"), include_str!("lua/seat_locks/unblock.lua")))
});
pub(crate) static MARK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(
        include_str!("lua/seat_locks/publish.lua"),
        include_str!("lua/seat_locks/fans.lua"),
        include_str!("lua/seat_locks/mark.lua")
    ))
});
pub(crate) static OVERDUE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/seat_locks/overdue.lua")));
