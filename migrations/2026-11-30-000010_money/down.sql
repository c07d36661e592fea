DROP TABLE sales_switch;
DROP TABLE wallet_credits;
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_account_kind_check;
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_account_kind_check
    CHECK (account_kind IN ('gateway', 'wallet', 'sales'));
ALTER TABLE transfers DROP CONSTRAINT transfers_kind_check;
ALTER TABLE transfers ADD CONSTRAINT transfers_kind_check
    CHECK (kind IN ('top_up', 'payment', 'refund', 'charge', 'card_refund', 'returned'));
