-- Holds that are still held although an event was recorded longer than $3 after their deadline. The time of the last
-- event is used as the current time, because an idle system may have no sweeps. If it was deleted, it was before the moment
-- in outbox_forgotten, so that is used if it is later. $1 is the performance, or null for all.
SELECT
    format('reservation %s', r.id) AS subject,
    format('held until %s UTC, but an event was recorded at %s UTC',
        r.expires_at AT TIME ZONE 'UTC', latest.created_at AT TIME ZONE 'UTC') AS detail
FROM reservations r
CROSS JOIN (
    SELECT greatest(
        (SELECT created_at FROM outbox ORDER BY transaction_id DESC, sequence DESC LIMIT 1),
        (SELECT before FROM outbox_forgotten)
    ) AS created_at
) AS latest
WHERE r.state IN ('held', 'paying') AND ($1 IS NULL OR r.performance_id = $1)
  AND r.expires_at < latest.created_at - $3::interval
