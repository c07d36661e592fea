-- Payments by card that charged something else than their amount, or charged it without a sale or a refund; and those that nobody will
-- take up again although what was taken is neither sold nor given back, or what was sold is not taken. $1 is the performance, or null
-- for all.
WITH steps AS (
    SELECT
        a.payment_id,
        bool_or(e.step = 'capture' AND e.outcome = 'succeeded') AS captured,
        bool_or(e.step = 'confirm' AND e.outcome = 'succeeded') AS confirmed,
        bool_or(e.step = 'revoke' AND e.outcome = 'succeeded') AS revoked,
        bool_or(e.step = 'refund') AS refunded
    FROM payment_attempts a
    JOIN payment_events e ON e.attempt_id = a.id
    GROUP BY a.payment_id
), card AS (
    SELECT c.id, c.due_at, c.amount_minor, s.captured, s.confirmed OR s.refunded AS accounted, s.revoked
    FROM card_payments c
    JOIN steps s ON s.payment_id = c.id
    WHERE $1 IS NULL OR c.performance_id = $1
)
SELECT
    format('payment %s', card.id) AS subject,
    format('charged by %s transfers of %s in all, expected %s', count(t.id), coalesce(sum(t.amount_minor), 0),
        CASE WHEN card.accounted THEN format('one of %s', card.amount_minor) ELSE 'none' END) AS detail
FROM card
LEFT JOIN transfers t ON t.payment_id = card.id AND t.kind IN ('charge', 'top_up')
GROUP BY card.id, card.accounted, card.amount_minor
HAVING count(t.id) <> card.accounted::int OR coalesce(sum(t.amount_minor), 0) <> CASE WHEN card.accounted THEN card.amount_minor ELSE 0 END
UNION ALL
SELECT format('payment %s', id), format('closed: captured %s, sold or given back %s', captured, accounted)
FROM card
WHERE due_at IS NULL AND captured <> accounted AND NOT revoked
