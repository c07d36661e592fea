//! What several use cases share.

use std::sync::Arc;

use encore_app::contexts::PerformanceContexts;
use encore_app::payment::SettlementPropagator;
use encore_app::queue_guard::QueueGuard;
use encore_app::sales_gate::SalesGate;
use encore_domain::queue::fact::QueueFacts;
use encore_seat_map::{SeatMap, SeatMapParts};
use encore_waiting_room::{WaitingRoom, WaitingRoomParts};

use crate::ports::Ports;
use crate::stock::SeatMapStock;

/// The live parts that several use cases share.
pub(super) struct Runtime {
    pub(super) contexts: PerformanceContexts,
    pub(super) seat_map: SeatMap,
    pub(super) room: WaitingRoom,
    pub(super) queue_facts: Arc<QueueFacts>,
    pub(super) sales_gate: SalesGate,
    pub(super) guard: QueueGuard,
    pub(super) propagator: SettlementPropagator,
}

impl Runtime {
    pub(super) fn new(ports: &Ports) -> Self {
        let contexts = PerformanceContexts::new(ports.catalog.clone());
        let seat_map = SeatMap::new(SeatMapParts {
            locks: ports.seat_locks.clone(),
            changes: ports.seat_changes.clone(),
            reservations: ports.reservations.clone(),
            contexts: contexts.clone(),
            clock: ports.clock.clone(),
        });
        let queue_facts = Arc::new(match ports.queue_fact_publisher {
            Some(_) => QueueFacts::kept(),
            None => QueueFacts::off(),
        });
        let parts = WaitingRoomParts {
            queues: ports.queues.clone(),
            records: ports.queue_records.clone(),
            draws: ports.draws.clone(),
            catalog: ports.catalog.clone(),
            stock: Arc::new(SeatMapStock { seat_map: seat_map.clone(), contexts: contexts.clone() }),
            clock: ports.clock.clone(),
        };
        let room = WaitingRoom::noting(parts, Arc::clone(&queue_facts));
        let sales_gate = SalesGate::new(ports.sales_switches.clone());
        let guard = QueueGuard::new(room.clone(), sales_gate.clone());
        let propagator = SettlementPropagator::new(seat_map.clone(), room.clone());
        Self { contexts, seat_map, room, queue_facts, sales_gate, guard, propagator }
    }
}
