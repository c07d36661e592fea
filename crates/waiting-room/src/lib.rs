//! The runtime of waiting queues.
