-- Refunds without exactly one transfer of their amount, of other reservations than their payment's, or that do not fit the state
-- of their reservation; cancelled reservations without a refund of all seats. $1 is the performance, or null for all.
SELECT
    format('refund %s', f.id) AS subject,
    format('%s %s by %s transfers, of which %s have this amount and user',
        f.price_minor - f.fee_minor, f.currency, count(t.id), count(t.id) FILTER (WHERE
            (t.kind, t.amount_minor, t.currency, t.user_id, t.payment_id)
            = ('refund', f.price_minor - f.fee_minor, f.currency, f.user_id, f.payment_id))) AS detail
FROM refunds f
LEFT JOIN transfers t ON t.refund_id = f.id
WHERE $1 IS NULL OR f.performance_id = $1
GROUP BY f.id
HAVING count(t.id) <> 1 OR count(t.id) FILTER (WHERE
    (t.kind, t.amount_minor, t.currency, t.user_id, t.payment_id)
    = ('refund', f.price_minor - f.fee_minor, f.currency, f.user_id, f.payment_id)) <> 1
UNION ALL
SELECT
    format('refund %s', f.id),
    format('of %s for payment %s, but reservation %s is %s with a total of %s and payment %s',
        f.price_minor, f.payment_id, f.reservation_id, coalesce(r.state, 'missing'), r.total_minor, r.payment_id)
FROM refunds f
LEFT JOIN reservations r ON r.id = f.reservation_id
WHERE ($1 IS NULL OR f.performance_id = $1)
  AND (r.payment_id IS DISTINCT FROM f.payment_id
      OR f.is_whole AND (r.state, r.total_minor) IS DISTINCT FROM ('cancelled', f.price_minor))
UNION ALL
SELECT format('transfer %s', t.id), format('its refund %s does not exist', t.refund_id)
FROM transfers t
WHERE $1 IS NULL AND t.kind = 'refund' AND NOT EXISTS (SELECT FROM refunds f WHERE f.id = t.refund_id)
UNION ALL
SELECT format('reservation %s', r.id), 'cancelled without a refund of all its seats'
FROM reservations r
WHERE r.state = 'cancelled' AND ($1 IS NULL OR r.performance_id = $1)
  AND NOT EXISTS (SELECT FROM refunds f WHERE f.reservation_id = r.id AND f.is_whole)
