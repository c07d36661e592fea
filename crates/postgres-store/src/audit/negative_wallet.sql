-- Wallets that hold less than nothing, or did after an entry. $1 is the performance whose fans are meant, or null for all.
SELECT format('wallet of user %s in %s', user_id, currency) AS subject, format('holds %s', balance_minor) AS detail
FROM wallets
WHERE balance_minor < 0
  AND ($1 IS NULL OR user_id IN (SELECT user_id FROM reservations WHERE performance_id = $1))
UNION ALL
SELECT format('ledger entry %s', id), format('left the wallet of user %s with %s', owner_id, balance_after_minor)
FROM ledger_entries
WHERE balance_after_minor < 0
  AND ($1 IS NULL OR owner_id IN (SELECT user_id FROM reservations WHERE performance_id = $1))
