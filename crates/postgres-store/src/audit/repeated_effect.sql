-- Reservations, payments, top-ups and refunds by fans that are not the result of exactly one request of their fan, requests without a
-- result, and reservations with several payments. A top-up and a credit have the id of their wallet entry; a credit is the result of its operator's request. $1 is the performance, or
-- null for all.
--
-- Requests of holds are forgotten after a while. So a hold needs a request only if it was placed after the moment in requests_forgotten.
WITH effect AS (
    SELECT 'place_hold' AS operation, id, user_id, 'reservation' AS name, held_at
    FROM reservations WHERE $1 IS NULL OR performance_id = $1
    UNION ALL
    SELECT 'pay', id, user_id, 'payment', NULL
    FROM payments p WHERE ($1 IS NULL OR performance_id = $1)
      AND NOT EXISTS (SELECT FROM card_payments c WHERE c.id = p.id)
    UNION ALL
    SELECT 'pay_by_card', a.id, c.user_id, 'attempt', NULL
    FROM payment_attempts a JOIN card_payments c ON c.id = a.payment_id
    WHERE $1 IS NULL OR c.performance_id = $1
    UNION ALL
    SELECT 'top_up', e.id, t.user_id, 'top-up', NULL
    FROM transfers t
    JOIN ledger_entries e ON e.transfer_id = t.id AND e.account_kind = 'wallet'
    WHERE $1 IS NULL AND t.kind = 'top_up' AND t.payment_id IS NULL
    UNION ALL
    SELECT 'credit_wallet', e.id, c.operator_id, 'credit', NULL
    FROM wallet_credits c
    JOIN ledger_entries e ON e.transfer_id = c.transfer_id AND e.account_kind = 'wallet'
    WHERE $1 IS NULL
    UNION ALL
    SELECT 'cancel', id, user_id, 'refund', NULL
    FROM refunds WHERE operator_id IS NULL AND cause = 'cancelled' AND ($1 IS NULL OR performance_id = $1)
), request AS (
    SELECT operation, result_id, user_id, count(*) AS requests, min(request_id::text) AS request_id
    FROM requests
    WHERE operation IN ('place_hold', 'pay', 'top_up', 'cancel', 'pay_by_card', 'credit_wallet')
    GROUP BY operation, result_id, user_id
)
SELECT
    CASE
        WHEN effect.id IS NULL THEN format('request %s of user %s', request.request_id, request.user_id)
        ELSE format('%s %s', effect.name, effect.id)
    END AS subject,
    CASE
        WHEN effect.id IS NULL THEN format('its result, %s of %s, does not exist', request.operation, request.result_id)
        ELSE format('it is the result of %s requests of user %s', coalesce(request.requests, 0), effect.user_id)
    END AS detail
FROM effect
FULL JOIN request
    ON request.result_id = effect.id AND request.user_id = effect.user_id AND request.operation = effect.operation
WHERE effect.id IS NOT NULL AND request.requests IS DISTINCT FROM 1
    AND NOT (request.requests IS NULL AND effect.held_at IS NOT NULL
        AND effect.held_at <= (SELECT before FROM requests_forgotten))
   OR effect.id IS NULL AND $1 IS NULL
UNION ALL
SELECT format('reservation %s', reservation_id), format('it has %s payments', count(*))
FROM payments
WHERE $1 IS NULL OR performance_id = $1
GROUP BY reservation_id
HAVING count(*) > 1
