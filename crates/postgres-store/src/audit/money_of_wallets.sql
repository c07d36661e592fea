-- Wallets that do not hold the sum of their entries, and entries of wallets that are not there. $1 is the performance whose
-- fans are meant, or null for all.
WITH entries AS (
    SELECT e.owner_id AS user_id, t.currency, count(*) AS entries, sum(e.amount_minor) AS total_minor
    FROM ledger_entries e
    JOIN transfers t ON t.id = e.transfer_id
    WHERE e.account_kind = 'wallet' AND e.balance_after_minor IS NOT NULL
      AND ($1 IS NULL OR e.owner_id IN (SELECT user_id FROM reservations WHERE performance_id = $1))
    GROUP BY e.owner_id, t.currency
), held AS (
    SELECT user_id, currency, balance_minor
    FROM wallets
    WHERE $1 IS NULL OR user_id IN (SELECT user_id FROM reservations WHERE performance_id = $1)
)
SELECT
    format('wallet of user %s in %s', user_id, currency) AS subject,
    format('holds %s, though its %s entries sum to %s', coalesce(balance_minor::text, 'nothing and is not there'),
        coalesce(entries, 0), coalesce(total_minor, 0)) AS detail
FROM held
FULL JOIN entries USING (user_id, currency)
-- Who pays nothing without a wallet has entries of nothing, and still no wallet.
WHERE coalesce(balance_minor, 0) <> coalesce(total_minor, 0)
