-- Refunds whose transfers are not exactly those that they need, of other reservations than their payment's, or that do not fit the
-- state of their reservation; cancelled reservations without a refund of all seats. A refund of a cancellation goes to the wallet; one of a
-- withdrawal is there;
-- one to a card goes on from there; one that came back is in the wallet again. $1 is the performance, or null for all.
WITH due AS (
    SELECT
        f.*, f.price_minor - f.fee_minor AS minor,
        EXISTS (
            SELECT FROM payment_events e WHERE e.refund_id = f.id AND e.step = 'refund' AND e.outcome = 'failed'
                AND f.payment_id IN (SELECT a.payment_id FROM payment_attempts a WHERE a.id = e.attempt_id)
        ) AS came_back
    FROM refunds f
    WHERE $1 IS NULL OR f.performance_id = $1
), moved AS (
    SELECT
        due.id, due.minor, due.currency, due.cause, due.to_card, due.came_back,
        count(t.id) AS transfers,
        count(t.id) FILTER (WHERE t.amount_minor = due.minor AND t.currency = due.currency
            AND t.user_id = due.user_id AND t.payment_id = due.payment_id) AS correct,
        count(t.id) FILTER (WHERE t.kind = 'refund') AS to_wallet,
        count(t.id) FILTER (WHERE t.kind = 'card_refund') AS to_card_transfers,
        count(t.id) FILTER (WHERE t.kind = 'returned') AS returned
    FROM due
    LEFT JOIN transfers t ON t.refund_id = due.id
    GROUP BY due.id, due.minor, due.currency, due.cause, due.to_card, due.came_back
)
SELECT
    format('refund %s', id) AS subject,
    format('%s %s (%s) by %s transfers, of which %s are correct: %s to the wallet, %s to the card, %s came back',
        minor, currency, cause, transfers, correct, to_wallet, to_card_transfers, returned) AS detail
FROM moved
WHERE transfers <> correct OR to_wallet <> (cause IN ('cancelled', 'not_taken'))::int OR to_card_transfers <> to_card::int
   OR returned <> came_back::int OR transfers <> to_wallet + to_card_transfers + returned
UNION ALL
SELECT
    format('refund %s', f.id),
    format('of %s for payment %s, but reservation %s is %s with a total of %s and payment %s',
        f.price_minor, f.payment_id, f.reservation_id, coalesce(r.state, 'missing'), r.total_minor, r.payment_id)
FROM refunds f
LEFT JOIN reservations r ON r.id = f.reservation_id
WHERE f.cause IN ('cancelled', 'not_taken') AND ($1 IS NULL OR f.performance_id = $1)
  AND (r.payment_id IS DISTINCT FROM f.payment_id
      OR f.is_whole AND (r.state, r.total_minor) IS DISTINCT FROM ('cancelled', f.price_minor))
UNION ALL
SELECT format('transfer %s', t.id), format('its refund %s does not exist', t.refund_id)
FROM transfers t
WHERE $1 IS NULL AND t.kind IN ('refund', 'card_refund', 'returned') AND NOT EXISTS (SELECT FROM refunds f WHERE f.id = t.refund_id)
UNION ALL
SELECT format('reservation %s', r.id), 'cancelled without a refund of all its seats'
FROM reservations r
WHERE r.state = 'cancelled' AND ($1 IS NULL OR r.performance_id = $1)
  AND NOT EXISTS (SELECT FROM refunds f WHERE f.reservation_id = r.id AND f.is_whole)
