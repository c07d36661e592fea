-- A seat in several live reservations, or with several claims. $1 is the performance, or null for all.
WITH sold_twice AS (
    SELECT
        r.performance_id, s.slot,
        format('%s live reservations have the seat: %s', count(*),
            array_to_string((array_agg(r.id ORDER BY r.id))[1:5], ', ')) AS detail
    FROM reservations r
    JOIN reservation_seats s ON s.reservation_id = r.id
    WHERE r.state IN ('held', 'paying', 'confirmed') AND ($1 IS NULL OR r.performance_id = $1)
    GROUP BY r.performance_id, s.slot
    HAVING count(*) > 1
    UNION ALL
    SELECT performance_id, slot, format('%s claims on the seat', count(*))
    FROM claims
    WHERE $1 IS NULL OR performance_id = $1
    GROUP BY performance_id, slot
    HAVING count(*) > 1
)
SELECT
    format('performance %s %sslot %s', f.performance_id, 'seat ' || seat.seat_id || '/', f.slot) AS subject,
    f.detail
FROM sold_twice f
LEFT JOIN performances p ON p.id = f.performance_id
LEFT JOIN seats seat ON seat.venue_id = p.venue_id AND seat.slot = f.slot
