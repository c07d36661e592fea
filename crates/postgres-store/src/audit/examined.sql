-- The number of rows that each promise is checked on. $1 is the performance, or null for all.
SELECT
    (SELECT count(*) FROM reservations r JOIN reservation_seats s ON s.reservation_id = r.id
     WHERE r.state IN ('held', 'paying', 'confirmed') AND ($1 IS NULL OR r.performance_id = $1)) AS live_seats,
    (SELECT count(*) FROM reservations WHERE state = 'confirmed' AND ($1 IS NULL OR performance_id = $1)) AS confirmed,
    (SELECT count(*) FROM reservations WHERE state IN ('held', 'paying') AND ($1 IS NULL OR performance_id = $1)) AS held,
    (SELECT count(*) FROM claims WHERE $1 IS NULL OR performance_id = $1) AS claims,
    (SELECT count(*) FROM transfers WHERE $1 IS NULL
        OR payment_id IN (SELECT id FROM payments WHERE performance_id = $1)) AS transfers,
    (SELECT count(*) FROM wallets WHERE $1 IS NULL
        OR user_id IN (SELECT user_id FROM reservations WHERE performance_id = $1)) AS wallets,
    (SELECT count(*) FROM reservations WHERE $1 IS NULL OR performance_id = $1)
        + (SELECT count(*) FROM payments p WHERE ($1 IS NULL OR performance_id = $1)
            AND NOT EXISTS (SELECT FROM card_payments c WHERE c.id = p.id))
        + (SELECT count(*) FROM transfers WHERE $1 IS NULL AND kind = 'top_up' AND payment_id IS NULL)
        + (SELECT count(*) FROM payment_attempts a JOIN card_payments c ON c.id = a.payment_id
            WHERE $1 IS NULL OR c.performance_id = $1)
        + (SELECT count(*) FROM refunds WHERE operator_id IS NULL AND cause = 'cancelled' AND ($1 IS NULL OR performance_id = $1)) AS effects,
    (SELECT count(*) FROM outbox WHERE $1 IS NULL OR key = $1) AS events
