-- What a careful user would make: keys, foreign keys and checks as Encore has them, and no index beyond the keys. Where rows
-- are updated, half of each page is left for their next version, so that no index entry is written for it. Versions are
-- for those who lock no rows.

CREATE TABLE commits (
    id bigint PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE reservations (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    performance_id uuid NOT NULL,
    total_minor bigint NOT NULL CHECK (total_minor >= 0),
    state text COLLATE "C" NOT NULL CHECK (state IN ('held', 'confirmed', 'expired', 'released')),
    held_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    version integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE reservation_seats (
    reservation_id uuid NOT NULL REFERENCES reservations,
    slot integer NOT NULL,
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    PRIMARY KEY (reservation_id, slot)
);

CREATE TABLE seats (
    performance_id uuid NOT NULL,
    slot integer NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'free' CHECK (state IN ('free', 'held', 'sold')),
    reservation_id uuid REFERENCES reservations,
    version integer NOT NULL DEFAULT 0,
    PRIMARY KEY (performance_id, slot),
    CHECK ((state = 'free') = (reservation_id IS NULL))
) WITH (fillfactor = 50);

CREATE TABLE wallets (
    user_id uuid PRIMARY KEY,
    balance_minor bigint NOT NULL CHECK (balance_minor >= 0),
    version integer NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE payments (
    id uuid PRIMARY KEY,
    reservation_id uuid NOT NULL UNIQUE REFERENCES reservations,
    user_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    paid_at timestamptz NOT NULL
);

-- The two sides of a payment; they sum to zero.
CREATE TABLE ledger_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments,
    account_kind text COLLATE "C" NOT NULL CHECK (account_kind IN ('wallet', 'sales')),
    owner_id uuid NOT NULL,
    amount_minor bigint NOT NULL,
    balance_after_minor bigint CHECK (balance_after_minor >= 0)
);
