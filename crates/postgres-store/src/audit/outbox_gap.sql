-- Changes without an event, events without a change, duplicate events, and reservations with an event of their end
-- before the event of their hold. $1 is the performance, or null for all.
--
-- Events of holds, reservations, blocks and wallets are matched with their changes. The others, whose changes leave no row that
-- names the event, must occur once and be of the kind that their id says.
--
-- Delivered events are deleted after a while. So an event is expected only if its change was made since the moment in
-- outbox_forgotten. A change of a hold counts as old as the hold.
WITH change AS (
    SELECT 'booking.hold_placed/' || id AS event_id, performance_id AS key, held_at AS made_at
    FROM reservations WHERE $1 IS NULL OR performance_id = $1
    UNION ALL
    SELECT
        CASE state
            WHEN 'confirmed' THEN 'booking.reservation_confirmed/'
            WHEN 'cancelled' THEN 'booking.reservation_confirmed/'
            WHEN 'released' THEN 'booking.hold_released/'
            ELSE 'booking.hold_expired/'
        END || id,
        performance_id,
        settled_at
    FROM reservations WHERE state NOT IN ('held', 'paying') AND ($1 IS NULL OR performance_id = $1)
    UNION ALL
    -- A card payment that succeeded after its bound confirmed a reservation that had expired.
    SELECT 'booking.hold_expired/' || r.id, r.performance_id, r.held_at
    FROM reservations r
    WHERE r.state IN ('confirmed', 'cancelled') AND ($1 IS NULL OR r.performance_id = $1) AND EXISTS (
        SELECT FROM card_payments c
        JOIN payment_attempts a ON a.payment_id = c.id
        JOIN payment_events e ON e.attempt_id = a.id AND e.step = 'expire'
        WHERE c.reservation_id = r.id
    )
    UNION ALL
    SELECT 'booking.hold_changed/' || id || '/' || number, performance_id, held_at
    FROM reservations CROSS JOIN LATERAL generate_series(1, revision) AS number
    WHERE revision > 0 AND ($1 IS NULL OR performance_id = $1)
    UNION ALL
    SELECT CASE WHEN is_whole THEN 'booking.reservation_cancelled/' ELSE 'booking.seats_cancelled/' END || id, performance_id, made_at
    FROM refunds WHERE cause IN ('cancelled', 'not_taken') AND ($1 IS NULL OR performance_id = $1)
    UNION ALL
    SELECT CASE WHEN reason IS NULL THEN 'booking.seats_unblocked/' ELSE 'booking.seats_blocked/' END || id, performance_id, made_at
    FROM seat_blocks WHERE $1 IS NULL OR performance_id = $1
    UNION ALL
    SELECT 'wallet.topped_up/' || id, user_id, made_at
    FROM transfers WHERE $1 IS NULL AND kind IN ('top_up', 'operator_credit')
    UNION ALL
    SELECT 'wallet.withdrawn/' || t.id, t.user_id, t.made_at
    FROM transfers t JOIN refunds f ON f.id = t.refund_id AND f.cause = 'withdrawn'
    WHERE $1 IS NULL AND t.kind = 'card_refund'
), event AS (
    SELECT event_id, kind, key, sequence, kind IN (
        'booking.hold_placed', 'booking.hold_changed', 'booking.hold_released', 'booking.hold_expired',
        'booking.reservation_confirmed', 'booking.reservation_cancelled', 'booking.seats_cancelled', 'booking.seats_blocked', 'booking.seats_unblocked', 'wallet.topped_up', 'wallet.withdrawn'
    ) AS is_matched
    FROM outbox
    WHERE $1 IS NULL OR key = $1
)
SELECT
    format('event %s', coalesce(change.event_id, event.event_id)) AS subject,
    CASE
        WHEN event.event_id IS NULL THEN format('not in the outbox under key %s', change.key)
        WHEN change.event_id IS NULL AND event.is_matched THEN format('sequence %s under key %s matches no change', event.sequence, event.key)
        ELSE format('sequence %s is of kind %s', event.sequence, event.kind)
    END AS detail
FROM change
FULL JOIN event ON event.event_id = change.event_id AND event.key = change.key
WHERE change.event_id IS NULL AND event.is_matched
   OR event.event_id IS NULL AND change.made_at >= coalesce((SELECT before FROM outbox_forgotten), '-infinity')
   OR event.kind <> split_part(event.event_id, '/', 1)
UNION ALL
SELECT format('event %s', event_id), format('in the outbox %s times', count(*))
FROM event
GROUP BY event_id
HAVING count(*) > 1
UNION ALL
SELECT
    format('reservation %s', split_part(event_id, '/', 2)),
    format('placed at sequence %s, but ended at sequence %s',
        min(sequence) FILTER (WHERE kind = 'booking.hold_placed'),
        min(sequence) FILTER (WHERE kind <> 'booking.hold_placed'))
FROM event
WHERE kind IN (
    'booking.hold_placed', 'booking.hold_changed', 'booking.hold_released', 'booking.hold_expired', 'booking.reservation_confirmed')
GROUP BY split_part(event_id, '/', 2)
HAVING min(sequence) FILTER (WHERE kind <> 'booking.hold_placed') < min(sequence) FILTER (WHERE kind = 'booking.hold_placed')
