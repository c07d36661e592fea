//! Encodes arguments and decodes replies of scripts.

use std::time::Duration;

use chrono::{DateTime, Utc};
use encore_domain::error::{PortError, Unavailable};
use encore_domain::ports::TokenRefusal;
use encore_domain::queue::{EndReason, TokenState};
use encore_domain::time::Timestamp;

/// The longest duration that is sent to Redis. The sum of it and the time in milliseconds since 1970 is exact as a double, the
/// number type of Lua and of sorted sets.
const DURATION_MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// A duration in milliseconds, at most [`DURATION_MAX`].
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.min(DURATION_MAX).as_millis()).unwrap_or(u64::MAX)
}

/// A time from milliseconds since 1970.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The byte of a reason in the queue's string of reasons.
pub(crate) fn reason_byte(reason: EndReason) -> u8 {
    match reason {
        EndReason::Used => b'u',
        EndReason::Left => b'l',
        EndReason::Expired => b'x',
        EndReason::Abandoned => b'a',
        EndReason::Replaced => b'm',
        EndReason::LimitReached => b'f',
        EndReason::Reset => b'r',
    }
}

/// The reason of this byte.
pub(crate) fn end_reason(byte: &str) -> Option<EndReason> {
    match byte {
        "u" => Some(EndReason::Used),
        "l" => Some(EndReason::Left),
        "x" => Some(EndReason::Expired),
        "a" => Some(EndReason::Abandoned),
        "m" => Some(EndReason::Replaced),
        "f" => Some(EndReason::LimitReached),
        "r" => Some(EndReason::Reset),
        _ => None,
    }
}

/// Decodes the reply of a script about one queue token.
pub(crate) fn token_state((name, detail): (String, String)) -> Result<TokenState, PortError<TokenRefusal>> {
    let deadline = || detail.parse().map(timestamp).map_err(|error| Unavailable::new("redis", error));
    match (name.as_str(), detail.as_str()) {
        ("waiting", _) => Ok(TokenState::Waiting),
        ("called", _) => Ok(TokenState::Called { accept_by: deadline()? }),
        ("active", _) => Ok(TokenState::Active { until: deadline()? }),
        ("ended", reason) => {
            let reason = end_reason(reason).ok_or_else(|| unexpected(format!("a token ended for {reason:?}")))?;
            Ok(TokenState::Ended(reason))
        }
        (refusal, detail) => Err(token_refusal(refusal, detail)),
    }
}

/// Decodes the refusal of a script about queue tokens.
pub(crate) fn token_refusal(name: &str, detail: &str) -> PortError<TokenRefusal> {
    match name {
        "lost" => PortError::Refused(TokenRefusal::Lost),
        "unseen" => PortError::Refused(TokenRefusal::Unseen),
        "drawing" => PortError::Refused(TokenRefusal::Drawing),
        "drawn" => PortError::Refused(TokenRefusal::Drawn { count: detail.parse().ok() }),
        _ => unexpected(format!("unexpected reply about a queue token: {name:?} {detail:?}")).into(),
    }
}

/// The error for a reply that no script of this crate sends, which means that another program wrote the keys.
pub(crate) fn unexpected(reply: String) -> Unavailable {
    Unavailable::new("redis", reply)
}
