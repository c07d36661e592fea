-- The house lists what was sold at a performance. A hold and a payment are in neither of the first two indexes when they are made:
-- each gets its one entry when the hold ends or is paid, and when the payment was propagated. Until then `reservations_due` and
-- `payments_pending_propagation` find them.
CREATE INDEX reservations_of_performance ON reservations (performance_id, state, held_at, id) WHERE state <> 'held';
CREATE INDEX payments_of_performance ON payments (performance_id, paid_at, id) WHERE propagated;
CREATE INDEX card_payments_of_performance ON card_payments (performance_id, made_at, id)
    WHERE performance_id IS NOT NULL;
