//! The limits of connections.

use std::time::Duration;

/// What connections and the calls on them may take. The defaults suit one instance behind a proxy or behind BFFs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// The most connections. An idle one takes about 16 KiB and a file descriptor.
    pub connections_max: usize,
    /// The most connections of one address: an IPv4 address, or the first 64 bits of an IPv6 address.
    pub per_address_max: usize,
    /// How long a client may take to begin: the preface and the settings of HTTP/2, or the first byte of HTTP/1.
    pub handshake_timeout: Duration,
    /// How long the rest of a head or of a frame may take once it has begun.
    pub frame_timeout: Duration,
    /// How long the body of a request may take after its head.
    pub body_timeout: Duration,
    /// How long replies may wait while the client reads nothing at all from its connection.
    pub stall_timeout: Duration,
    /// How often a connection is looked at for the time-outs above.
    pub look_every: Duration,
    /// The most calls without a valid access token that one connection may have open.
    pub anonymous_calls_max: usize,
    /// The most calls and streams that one user may have open on this instance.
    pub calls_per_user_max: usize,
    /// How many calls a second of one fan are answered on this instance without a wait: 1 to 1,000. Twice as many may come at once.
    pub calls_per_user_per_second: u32,
    /// The most bytes of one connection in flight for a call with a valid access token to be accepted: heads and bodies of open
    /// calls, and replies that were not sent yet.
    pub bytes_per_connection_max: usize,
    /// The same for a call without one.
    pub anonymous_bytes_max: usize,
    /// The same for all connections together.
    pub bytes_max: usize,
    /// How many calls of one user use the stores at once. Others of the same user wait for their turn.
    pub stores_per_user_max: usize,
    /// The same for all calls without a valid access token from one address.
    pub stores_per_address_max: usize,
}

impl ConnectionLimits {
    /// The most bytes in flight of its connection, and of all connections, with which a call is accepted.
    pub(crate) fn budget(&self, is_anonymous: bool) -> Budget {
        let of_connection = if is_anonymous { self.anonymous_bytes_max } else { self.bytes_per_connection_max };
        Budget { of_connection, of_all: self.bytes_max }
    }
}

/// The most bytes in flight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Of one connection.
    pub(crate) of_connection: usize,
    /// Of all connections.
    pub(crate) of_all: usize,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections_max: 10_000,
            per_address_max: 1_000,
            handshake_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(20),
            body_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_secs(30),
            look_every: Duration::from_secs(5),
            anonymous_calls_max: 128,
            calls_per_user_max: 128,
            calls_per_user_per_second: 100,
            bytes_per_connection_max: 64 * 1024 * 1024,
            anonymous_bytes_max: 8 * 1024 * 1024,
            bytes_max: 256 * 1024 * 1024,
            stores_per_user_max: 4,
            stores_per_address_max: 8,
        }
    }
}
