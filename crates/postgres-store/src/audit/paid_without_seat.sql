-- Confirmed reservations without seats, and payments whose reservation is neither confirmed nor cancelled. missing_claim.sql checks the
-- claims. $1 is the performance, or null for all.
SELECT format('reservation %s', r.id) AS subject, 'confirmed, but lists no seat' AS detail
FROM reservations r
WHERE r.state = 'confirmed' AND ($1 IS NULL OR r.performance_id = $1)
  AND NOT EXISTS (SELECT FROM reservation_seats s WHERE s.reservation_id = r.id)
UNION ALL
SELECT format('payment %s', p.id), format('its reservation %s is %s', p.reservation_id, coalesce(r.state, 'missing'))
FROM payments p
LEFT JOIN reservations r ON r.id = p.reservation_id
WHERE coalesce(r.state, 'missing') NOT IN ('confirmed', 'cancelled') AND ($1 IS NULL OR p.performance_id = $1)
