-- Changes without an event, events without a change, duplicate events, and reservations with an event of their end
-- before the event of their hold. $1 is the performance, or null for all.
--
-- Events of holds, reservations, blocks, wallets, payments by card and milestones are matched with their changes. The others, whose
-- changes leave no row that names the event, must occur once and be of the kind that their id says.
--
-- Delivered events are deleted after a while. So an event is expected only if its change was made since the moment in
-- outbox_forgotten. A change of a hold counts as old as the hold.
WITH steps AS (
    SELECT
        e.attempt_id, e.number, e.step, e.outcome, e.refund_id, e.recorded_at, c.id AS payment_id,
        format('%s/%s', c.id, a.number + 1) AS attempt,
        coalesce(c.performance_id, c.user_id) AS key,
        e.step = 'refund' AND bool_or(e.step = 'revoke') OVER earlier AS is_revoked,
        bool_or(e.step = 'capture' AND e.outcome = 'succeeded') OVER earlier AS is_captured,
        -- The gateway has refused, or has given up the amount.
        count(*) FILTER (WHERE e.step IN ('authorize', 'capture') AND e.outcome = 'failed' OR e.step = 'void' AND e.outcome = 'succeeded')
            OVER earlier AS refusals
    FROM card_payments c
    JOIN payment_attempts a ON a.payment_id = c.id
    JOIN payment_events e ON e.attempt_id = a.id
    WHERE $1 IS NULL OR c.performance_id = $1
    WINDOW earlier AS (PARTITION BY e.attempt_id ORDER BY e.number)
), news AS (
    -- News of a dispute that the gateway has confirmed; a request is only a hint.
    SELECT *, lag(outcome) OVER before AS previous, count(*) FILTER (WHERE outcome <> 'requested') OVER before AS confirmed
    FROM steps WHERE step = 'dispute'
    WINDOW before AS (PARTITION BY attempt_id ORDER BY number)
), dispute AS (
    -- One that was not open opens, unless it is the one that was won before.
    SELECT *, count(*) FILTER (WHERE is_opening) OVER (PARTITION BY attempt_id ORDER BY number) AS opened
    FROM (
        SELECT *, outcome <> 'requested' AND previous IS DISTINCT FROM 'unknown' AND (outcome <> 'failed' OR confirmed = 1) AS is_opening
        FROM news
    ) AS opening
), change AS (
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
    UNION ALL
    SELECT CASE step WHEN 'authorize' THEN 'payment.authorized/' ELSE 'payment.captured/' END || attempt, key, recorded_at
    FROM steps WHERE step IN ('authorize', 'capture') AND outcome = 'succeeded'
    UNION ALL
    -- The first refusal of an attempt of which nothing was taken.
    SELECT 'payment.failed/' || attempt, key, recorded_at
    FROM steps
    WHERE refusals = 1 AND NOT is_captured
      AND (step IN ('authorize', 'capture') AND outcome = 'failed' OR step = 'void' AND outcome = 'succeeded')
    UNION ALL
    SELECT CASE outcome WHEN 'failed' THEN 'payment.refund_failed/' ELSE 'payment.refunded/' END || refund_id, key, recorded_at
    FROM steps WHERE step = 'refund' AND (outcome = 'failed' OR outcome = 'succeeded' AND NOT is_revoked)
    UNION ALL
    SELECT 'payment.disputed/' || payment_id || '/' || opened, key, recorded_at
    FROM dispute WHERE is_opening
    UNION ALL
    SELECT 'payment.dispute_closed/' || payment_id || '/' || opened, key, recorded_at
    FROM dispute WHERE outcome IN ('succeeded', 'failed') AND (is_opening OR previous = 'unknown')
    UNION ALL
    SELECT CASE milestone WHEN 'cancelled' THEN 'catalog.performance_cancelled/' ELSE 'queue.opened/' END || performance_id,
        performance_id, noted_at
    FROM performance_milestones WHERE $1 IS NULL OR performance_id = $1
), event AS (
    SELECT event_id, kind, key, sequence, kind IN (
        'booking.hold_placed', 'booking.hold_changed', 'booking.hold_released', 'booking.hold_expired',
        'booking.reservation_confirmed', 'booking.reservation_cancelled', 'booking.seats_cancelled', 'booking.seats_blocked', 'booking.seats_unblocked', 'wallet.topped_up', 'wallet.withdrawn',
        'payment.authorized', 'payment.captured', 'payment.failed', 'payment.refunded', 'payment.refund_failed', 'payment.disputed',
        'payment.dispute_closed', 'catalog.performance_cancelled', 'queue.opened'
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
