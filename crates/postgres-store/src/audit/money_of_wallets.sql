-- Wallets whose balance is not the sum of their entries, and entries of wallets that do not exist. $1 limits the
-- wallets to those of the fans of this performance; null for all.
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
    format('has a balance of %s, but its %s entries sum to %s', coalesce(balance_minor::text, '0 because it does not exist'),
        coalesce(entries, 0), coalesce(total_minor, 0)) AS detail
FROM held
FULL JOIN entries USING (user_id, currency)
-- A payment of zero by a fan without a wallet writes entries of zero and no wallet.
WHERE coalesce(balance_minor, 0) <> coalesce(total_minor, 0)
