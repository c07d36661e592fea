-- Seats of live reservations without a claim of the reservation. $3 is 'held' or 'confirmed'. A seat of several live
-- reservations is left out, because double_sold_seat.sql reports it. $1 is the performance, or null for all.
WITH unclaimed AS (
    SELECT r.id, r.performance_id, s.slot
    FROM reservations r
    JOIN reservation_seats s ON s.reservation_id = r.id
    WHERE CASE r.state WHEN 'paying' THEN 'held' ELSE r.state END = $3 AND ($1 IS NULL OR r.performance_id = $1)
      AND NOT EXISTS (
          SELECT FROM claims c
          WHERE c.performance_id = r.performance_id AND c.slot = s.slot AND c.reservation_id = r.id
      )
)
SELECT
    format('performance %s %sslot %s', f.performance_id, 'seat ' || seat.seat_id || '/', f.slot) AS subject,
    format('reservation %s is %s but has no claim on the seat', f.id, $3) AS detail
FROM unclaimed f
LEFT JOIN performances p ON p.id = f.performance_id
LEFT JOIN seats seat ON seat.venue_id = p.venue_id AND seat.slot = f.slot
WHERE NOT EXISTS (
    SELECT FROM reservation_seats s
    JOIN reservations r ON r.id = s.reservation_id
    WHERE s.slot = f.slot AND r.performance_id = f.performance_id AND r.id <> f.id AND r.state IN ('held', 'paying', 'confirmed')
)
