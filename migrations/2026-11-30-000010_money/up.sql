-- Credits of operators: a kind of transfer, whose other side is the operator's account.
ALTER TABLE transfers DROP CONSTRAINT transfers_kind_check;
ALTER TABLE transfers ADD CONSTRAINT transfers_kind_check
    CHECK (kind IN ('top_up', 'payment', 'refund', 'charge', 'card_refund', 'returned', 'operator_credit')) NOT VALID;
ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_account_kind_check;
ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_account_kind_check
    CHECK (account_kind IN ('gateway', 'wallet', 'sales', 'operator')) NOT VALID;

-- Who credited a wallet, and why.
CREATE TABLE wallet_credits (
    transfer_id uuid PRIMARY KEY REFERENCES transfers,
    operator_id uuid NOT NULL REFERENCES users,
    reason text NOT NULL
);

-- The switch of all sales, as it was set last: at most one row.
CREATE TABLE sales_switch (
    is_single boolean PRIMARY KEY CHECK (is_single),
    is_stopped boolean NOT NULL,
    reason text NOT NULL,
    operator_id uuid NOT NULL REFERENCES users,
    changed_at timestamptz NOT NULL
);
