-- Seats of live reservations without the reservation's claim: $3 is 'held' or 'confirmed'. A seat that is sold twice can
-- have the claim of one only, and is told as such. $1 is the performance, or null for all.
WITH unaccepted AS (
    SELECT r.id, r.performance_id, s.slot
    FROM reservations r
    JOIN reservation_seats s ON s.reservation_id = r.id
    WHERE r.state = $3 AND ($1 IS NULL OR r.performance_id = $1)
      AND NOT EXISTS (
          SELECT FROM claims c
          WHERE c.performance_id = r.performance_id AND c.slot = s.slot AND c.reservation_id = r.id
      )
)
SELECT
    format('performance %s %sslot %s', f.performance_id, 'seat ' || seat.seat_id || '/', f.slot) AS subject,
    format('reservation %s is %s and has no claim on it', f.id, $3) AS detail
FROM unaccepted f
LEFT JOIN performances p ON p.id = f.performance_id
LEFT JOIN seats seat ON seat.venue_id = p.venue_id AND seat.slot = f.slot
WHERE NOT EXISTS (
    SELECT FROM reservation_seats s
    JOIN reservations r ON r.id = s.reservation_id
    WHERE s.slot = f.slot AND r.performance_id = f.performance_id AND r.id <> f.id AND r.state IN ('held', 'confirmed')
)
