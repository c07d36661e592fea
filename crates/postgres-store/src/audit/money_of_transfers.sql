-- Transfers that do not have exactly two entries of exactly the amount, one of the wallet and one of the opposite
-- account; and entries without a transfer. $1 limits the transfers to those of the payments of this performance; null
-- for all.
WITH due AS (
    SELECT
        t.id, t.kind, t.user_id, t.amount_minor, p.performance_id,
        CASE WHEN t.kind IN ('payment', 'card_refund') THEN -t.amount_minor ELSE t.amount_minor END AS wallet_minor,
        CASE WHEN t.kind IN ('payment', 'refund') THEN 'sales' WHEN t.kind = 'operator_credit' THEN 'operator' ELSE 'gateway' END
            AS opposite,
        c.operator_id
    FROM transfers t
    LEFT JOIN payments p ON p.id = t.payment_id
    LEFT JOIN wallet_credits c ON c.transfer_id = t.id
    WHERE $1 IS NULL OR p.performance_id = $1
), sides AS (
    SELECT
        due.id, due.kind, due.amount_minor,
        count(e.id) AS sides,
        coalesce(sum(e.amount_minor), 0) AS total_minor,
        count(*) FILTER (
            WHERE e.account_kind = 'wallet' AND e.owner_id = due.user_id AND e.amount_minor = due.wallet_minor
        ) AS wallets,
        count(*) FILTER (
            WHERE e.account_kind = due.opposite AND e.amount_minor = -due.wallet_minor
              AND e.owner_id IS NOT DISTINCT FROM CASE due.opposite WHEN 'sales' THEN due.performance_id WHEN 'operator' THEN due.operator_id END
        ) AS opposites
    FROM due
    LEFT JOIN ledger_entries e ON e.transfer_id = due.id
    GROUP BY due.id, due.kind, due.amount_minor
)
SELECT
    format('transfer %s', id) AS subject,
    format('a %s of %s has %s entries that sum to %s: %s correct for the wallet, %s correct for the opposite account',
        kind, amount_minor, sides, total_minor, wallets, opposites) AS detail
FROM sides
WHERE sides <> 2 OR total_minor <> 0 OR wallets <> 1 OR opposites <> 1
UNION ALL
SELECT format('ledger entry %s', e.id), format('its transfer %s does not exist', e.transfer_id)
FROM ledger_entries e
WHERE $1 IS NULL AND NOT EXISTS (SELECT FROM transfers t WHERE t.id = e.transfer_id)
