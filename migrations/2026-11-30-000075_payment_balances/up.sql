-- The balance of the wallet right after a payment from it. Null in payments by card, and in rows that were written before: the ledger
-- says it of those.
ALTER TABLE payments ADD COLUMN balance_after_minor bigint;
