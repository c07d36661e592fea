DROP INDEX ledger_entries_of_wallet;
CREATE INDEX ledger_entries_of_wallet ON ledger_entries (owner_id, id DESC) WHERE balance_after_minor IS NOT NULL;
ALTER TABLE ledger_entries DROP COLUMN position;
DROP SEQUENCE ledger_positions;
ALTER TABLE payment_attempts DROP COLUMN request_id;
ALTER TABLE transfers DROP COLUMN request_id;
