//! What a client may take: connections, calls, bytes, password hashes. The limits are low here and the time-outs short.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod calls;
mod connections;
mod log_in;
mod quota;
mod sale_window;
mod shares;
mod tls;
