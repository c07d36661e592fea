-- Claims without a live reservation or a block that lists the seat. $1 is the performance, or null for all.
WITH orphan AS (
    SELECT
        c.performance_id, c.slot,
        CASE
            WHEN c.block_id IS NOT NULL THEN format('claimed by block %s, which %s', c.block_id, CASE
                WHEN b.id IS NULL THEN 'does not exist'
                WHEN b.reason IS NULL THEN 'is an unblock'
                WHEN b.performance_id <> c.performance_id THEN format('is for performance %s', b.performance_id)
                WHEN c.reservation_id IS NOT NULL THEN format('shares the seat with reservation %s', c.reservation_id)
                ELSE 'does not list the seat'
            END)
            WHEN r.id IS NULL THEN format('claimed by reservation %s, which does not exist', c.reservation_id)
            WHEN r.state NOT IN ('held', 'paying', 'confirmed') THEN format('claimed by reservation %s, which is %s', r.id, r.state)
            WHEN r.performance_id <> c.performance_id
                THEN format('claimed by reservation %s, which is for performance %s', r.id, r.performance_id)
            WHEN u.id IS NULL THEN format('claimed for user %s, who does not exist', c.user_id)
            WHEN r.user_id <> c.user_id
                THEN format('claimed for user %s by reservation %s of user %s', c.user_id, r.id, r.user_id)
            ELSE format('claimed by reservation %s, which does not list the seat', r.id)
        END AS detail
    FROM claims c
    LEFT JOIN reservations r ON r.id = c.reservation_id
    LEFT JOIN reservation_seats s ON s.reservation_id = c.reservation_id AND s.slot = c.slot
    LEFT JOIN users u ON u.id = c.user_id
    LEFT JOIN seat_blocks b ON b.id = c.block_id
    WHERE ($1 IS NULL OR c.performance_id = $1)
      AND CASE
          WHEN c.block_id IS NULL THEN r.id IS NULL OR s.slot IS NULL OR r.state NOT IN ('held', 'paying', 'confirmed')
              OR r.performance_id <> c.performance_id OR r.user_id <> c.user_id OR u.id IS NULL
          ELSE b.id IS NULL OR b.reason IS NULL OR b.performance_id <> c.performance_id OR c.reservation_id IS NOT NULL
              OR c.slot <> ALL (b.slots)
      END
)
SELECT
    format('performance %s %sslot %s', f.performance_id, 'seat ' || seat.seat_id || '/', f.slot) AS subject,
    f.detail
FROM orphan f
LEFT JOIN performances p ON p.id = f.performance_id
LEFT JOIN seats seat ON seat.venue_id = p.venue_id AND seat.slot = f.slot
