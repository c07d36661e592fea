-- Wallets whose balance is negative or was negative after an entry. $1 limits the wallets to those of the fans of this
-- performance; null for all.
SELECT format('wallet of user %s in %s', user_id, currency) AS subject, format('has a balance of %s', balance_minor) AS detail
FROM wallets
WHERE balance_minor < 0
  AND ($1 IS NULL OR user_id IN (SELECT user_id FROM reservations WHERE performance_id = $1))
UNION ALL
SELECT format('ledger entry %s', id), format('left the wallet of user %s with a balance of %s', owner_id, balance_after_minor)
FROM ledger_entries
WHERE balance_after_minor < 0
  AND ($1 IS NULL OR owner_id IN (SELECT user_id FROM reservations WHERE performance_id = $1))
