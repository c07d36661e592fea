//! Values as Redis keeps them, and back.

use std::time::Duration;

use chrono::{DateTime, Utc};
use encore_domain::error::Unavailable;
use encore_domain::queue::{EndReason, TokenState};
use encore_domain::time::Timestamp;

/// The longest duration that is handed to Redis. Nothing in a sale lasts as long, and milliseconds since 1970 plus this
/// stay exact in the doubles that Lua and sorted sets count in.
const DURATION_MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// A duration in milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.min(DURATION_MAX).as_millis()).unwrap_or(u64::MAX)
}

/// A moment from milliseconds since 1970.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The byte that stands for a reason in the line's string of reasons.
pub(crate) fn reason_code(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Used => "u",
        EndReason::Left => "l",
        EndReason::Expired => "x",
        EndReason::Abandoned => "a",
        EndReason::Reset => "r",
    }
}

/// The state of a token from a script's reply: its name, and a deadline or the byte of a reason.
pub(crate) fn token_state((state, detail): (String, String)) -> Result<TokenState, Unavailable> {
    let deadline = || detail.parse().map(timestamp).map_err(|error| Unavailable::new("redis", error));
    match (state.as_str(), detail.as_str()) {
        ("waiting", _) => Ok(TokenState::Waiting),
        ("called", _) => Ok(TokenState::Called { claim_by: deadline()? }),
        ("active", _) => Ok(TokenState::Active { until: deadline()? }),
        ("ended", "u") => Ok(TokenState::Ended(EndReason::Used)),
        ("ended", "l") => Ok(TokenState::Ended(EndReason::Left)),
        ("ended", "x") => Ok(TokenState::Ended(EndReason::Expired)),
        ("ended", "a") => Ok(TokenState::Ended(EndReason::Abandoned)),
        ("ended", "r") => Ok(TokenState::Ended(EndReason::Reset)),
        _ => Err(unexpected(format!("the state of a token is {state:?} {detail:?}"))),
    }
}

/// Redis answered something that no script of this crate answers: the keys were written by somebody else.
pub(crate) fn unexpected(reply: String) -> Unavailable {
    Unavailable::new("redis", reply)
}
