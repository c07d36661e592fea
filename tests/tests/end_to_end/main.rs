//! End-to-end tests: two instances of the server on Postgres and Redis, called like by a client.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod accessible;
mod admissions;
mod areas;
mod audit;
mod bad_input;
mod best_available;
mod blocks;
mod booking;
mod cancellation;
mod cards;
mod contention;
mod draw;
mod expiry;
mod frozen_node;
mod guard;
mod hold_changes;
mod lanes;
mod left_over_locks;
mod lost_locks;
mod lost_redis;
mod operators;
mod payments;
mod protocol;
mod queue;
mod queue_control;
mod rehearsal_fans;
mod repeats;
mod seat_map;
mod stock;
mod store_watch;
mod survival;
mod values;
mod venues;
mod wait;
mod wire;
