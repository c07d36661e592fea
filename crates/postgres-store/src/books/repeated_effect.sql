-- Reservations, payments and top-ups that are not the result of exactly one request of their fan, requests without their
-- result, and reservations paid twice. A top-up is known by the wallet's entry. $1 is the performance, or null for all.
WITH effect AS (
    SELECT 'place_hold' AS operation, id, user_id, 'reservation' AS name
    FROM reservations WHERE $1 IS NULL OR performance_id = $1
    UNION ALL
    SELECT 'pay', id, user_id, 'payment'
    FROM payments WHERE $1 IS NULL OR performance_id = $1
    UNION ALL
    SELECT 'top_up', e.id, t.user_id, 'top-up'
    FROM transfers t
    JOIN ledger_entries e ON e.transfer_id = t.id AND e.account_kind = 'wallet'
    WHERE $1 IS NULL AND t.kind = 'top_up'
), request AS (
    SELECT operation, result_id, user_id, request_id
    FROM requests WHERE operation IN ('place_hold', 'pay', 'top_up')
)
SELECT format('%s %s', name, id) AS subject, format('no request of user %s made it', user_id) AS detail
FROM effect
WHERE NOT EXISTS (
    SELECT FROM request
    WHERE request.operation = effect.operation AND request.result_id = effect.id AND request.user_id = effect.user_id
)
UNION ALL
SELECT format('%s %s', name, id), format('%s requests of user %s made it', count(*), effect.user_id)
FROM effect
JOIN request ON request.operation = effect.operation AND request.result_id = effect.id AND request.user_id = effect.user_id
GROUP BY name, id, effect.user_id
HAVING count(*) > 1
UNION ALL
SELECT
    format('request %s of user %s', request_id, user_id),
    format('its result, %s of %s, is not there', operation, result_id)
FROM request
WHERE $1 IS NULL AND NOT EXISTS (
    SELECT FROM effect
    WHERE effect.operation = request.operation AND effect.id = request.result_id AND effect.user_id = request.user_id
)
UNION ALL
SELECT format('reservation %s', reservation_id), format('%s payments paid for it', count(*))
FROM payments
WHERE $1 IS NULL OR performance_id = $1
GROUP BY reservation_id
HAVING count(*) > 1
