-- Attempts about which the gateway and the records differ, as the last comparison found. $1 is the performance, or null for all.
SELECT
    format('attempt %s', d.attempt_id) AS subject,
    format('the gateway and the records differ: %s', d.kind) AS detail
FROM gateway_differences d
JOIN payment_attempts a ON a.id = d.attempt_id
JOIN card_payments c ON c.id = a.payment_id
WHERE $1 IS NULL OR c.performance_id = $1
