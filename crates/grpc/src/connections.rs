//! Connections: how many there may be, what each may take, and which are closed.

mod accept;
mod caps;
mod connection;
mod frames;
mod limits;
mod tls;
mod usage;

pub(crate) use accept::accepted;
pub use caps::PeerAddress;
pub(crate) use caps::network_of;
pub(crate) use limits::Budget;
pub use limits::ConnectionLimits;
pub use tls::ListenerTls;
pub(crate) use usage::{AnonymousCall, BytesInFlight, UnsentReply, Usage};
