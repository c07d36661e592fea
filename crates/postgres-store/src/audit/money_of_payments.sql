-- Payments that differ from their reservation or their transfer, and reservations whose total is not the sum of their
-- prices. $1 is the performance, or null for all.
SELECT
    format('payment %s', p.id) AS subject,
    format('%s %s by user %s for performance %s, but reservation %s is %s %s of user %s for performance %s',
        p.amount_minor, p.currency, p.user_id, p.performance_id,
        r.id, r.total_minor, r.currency, r.user_id, r.performance_id) AS detail
FROM payments p
JOIN reservations r ON r.id = p.reservation_id
-- What was cancelled in parts is no longer in the total; what was cancelled as a whole still is.
CROSS JOIN LATERAL (
    SELECT coalesce(sum(price_minor), 0) AS minor FROM refunds WHERE payment_id = p.id AND NOT is_whole
) AS in_parts
WHERE ($1 IS NULL OR p.performance_id = $1)
  AND (p.amount_minor, p.currency, p.user_id, p.performance_id)
      IS DISTINCT FROM (r.total_minor + in_parts.minor, r.currency, r.user_id, r.performance_id)
UNION ALL
SELECT
    format('payment %s', p.id),
    format('%s %s by %s transfers, of which %s have this amount and user',
        p.amount_minor, p.currency, count(t.id), count(t.id) FILTER (WHERE
            (t.kind, t.amount_minor, t.currency, t.user_id) = ('payment', p.amount_minor, p.currency, p.user_id)))
FROM payments p
LEFT JOIN transfers t ON t.payment_id = p.id AND t.kind = 'payment'
WHERE $1 IS NULL OR p.performance_id = $1
GROUP BY p.id
HAVING count(t.id) <> 1 OR count(t.id) FILTER (WHERE
    (t.kind, t.amount_minor, t.currency, t.user_id) = ('payment', p.amount_minor, p.currency, p.user_id)) <> 1
UNION ALL
SELECT format('transfer %s', t.id), format('its payment %s does not exist', t.payment_id)
FROM transfers t
WHERE $1 IS NULL AND t.kind = 'payment' AND NOT EXISTS (SELECT FROM payments p WHERE p.id = t.payment_id)
UNION ALL
SELECT
    format('reservation %s', r.id),
    format('%s, but payment %s %s', r.state, coalesce(r.payment_id::text, 'none'),
        CASE WHEN p.id IS NULL THEN 'does not exist' ELSE format('is for reservation %s', p.reservation_id) END)
FROM reservations r
LEFT JOIN payments p ON p.id = r.payment_id
WHERE r.state IN ('confirmed', 'cancelled') AND ($1 IS NULL OR r.performance_id = $1) AND p.reservation_id IS DISTINCT FROM r.id
UNION ALL
SELECT
    format('reservation %s', r.id),
    format('its total is %s, but its %s seats cost %s', r.total_minor, count(s.slot), coalesce(sum(s.price_minor), 0))
FROM reservations r
LEFT JOIN reservation_seats s ON s.reservation_id = r.id
WHERE $1 IS NULL OR r.performance_id = $1
GROUP BY r.id
HAVING r.total_minor <> coalesce(sum(s.price_minor), 0)
