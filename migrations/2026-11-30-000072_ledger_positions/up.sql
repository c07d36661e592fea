-- The request of a fan or an operator that a transfer goes back to. Null if there is none, and in rows that were written before.
ALTER TABLE transfers ADD COLUMN request_id uuid;
-- The request that began the attempt.
ALTER TABLE payment_attempts ADD COLUMN request_id uuid;

-- The order in which entries were written. The entries of a wallet are written under the lock of its row, so they are in the order of
-- its balances, which that of their ids need not be. Rows that were written before have 0, and are in the order of their ids.
CREATE SEQUENCE ledger_positions;
ALTER TABLE ledger_entries ADD COLUMN position bigint NOT NULL DEFAULT 0;
ALTER TABLE ledger_entries ALTER COLUMN position SET DEFAULT nextval('ledger_positions');
DROP INDEX ledger_entries_of_wallet;
CREATE INDEX ledger_entries_of_wallet ON ledger_entries (owner_id, position DESC, id DESC) WHERE balance_after_minor IS NOT NULL;
