CREATE TABLE wallets (
    user_id uuid NOT NULL REFERENCES users,
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    balance_minor bigint NOT NULL CHECK (balance_minor >= 0),
    PRIMARY KEY (user_id, currency)
);

CREATE TABLE transfers (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('top_up', 'payment', 'refund', 'charge', 'card_refund', 'returned')),
    -- The fan whose wallet has one of the two entries.
    user_id uuid NOT NULL REFERENCES users,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- Of `payments` or `card_payments`.
    payment_id uuid,
    made_at timestamptz NOT NULL,
    refund_id uuid REFERENCES refunds
);

-- The two entries of each transfer. They sum to zero.
CREATE TABLE ledger_entries (
    id uuid PRIMARY KEY,
    transfer_id uuid NOT NULL REFERENCES transfers,
    account_kind text NOT NULL CHECK (account_kind IN ('gateway', 'wallet', 'sales')),
    -- The user of a wallet, the performance of sales.
    owner_id uuid,
    amount_minor bigint NOT NULL,
    -- Only a wallet keeps a balance: a running balance of sales would be one row that every payment waits for.
    balance_after_minor bigint CHECK (balance_after_minor >= 0),
    CONSTRAINT ledger_entries_owner_unless_gateway CHECK ((account_kind = 'gateway') = (owner_id IS NULL)),
    CONSTRAINT ledger_entries_balance_of_wallet CHECK ((account_kind = 'wallet') = (balance_after_minor IS NOT NULL))
);

CREATE INDEX ledger_entries_of_transfer ON ledger_entries (transfer_id);
-- Only the entries of wallets have a balance.
CREATE INDEX ledger_entries_of_wallet ON ledger_entries (owner_id, id DESC) WHERE balance_after_minor IS NOT NULL;
