-- Tickets that were used up before they were noted apart. This is a step of its own, since the one before locks the payments.
INSERT INTO used_tickets
SELECT DISTINCT ON (performance_id, ticket_epoch, ticket_lane, ticket_number)
    performance_id, ticket_epoch, ticket_lane, ticket_number, id
FROM payments
WHERE ticket_epoch IS NOT NULL
ORDER BY performance_id, ticket_epoch, ticket_lane, ticket_number, paid_at, id
ON CONFLICT DO NOTHING;
