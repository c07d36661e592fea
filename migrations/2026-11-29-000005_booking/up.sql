-- There are no foreign keys to users and performances: checking the parent of every row took Postgres nearly half of
-- the cost of a hold, and every hold of a performance would lock the performance's one row. Neither is ever deleted.
-- The auditor looks for rows without a parent.

CREATE TABLE reservations (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    performance_id uuid NOT NULL,
    total_minor bigint NOT NULL CHECK (total_minor >= 0),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    state text NOT NULL CHECK (state IN ('held', 'paying', 'confirmed', 'expired', 'released', 'cancelled')),
    held_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    settled_at timestamptz,
    payment_id uuid,
    revision integer NOT NULL DEFAULT 0 CHECK (revision >= 0),
    -- The hold as it was placed, which a repeat of the placing request is answered with. The first change of a hold or of its
    -- seats writes it: null in reservations that were never changed, which are nearly all.
    placed jsonb,
    cancelled_at timestamptz,
    CONSTRAINT reservations_settled_unless_held CHECK ((state IN ('held', 'paying')) = (settled_at IS NULL)),
    CONSTRAINT reservations_paid_if_confirmed CHECK ((state IN ('confirmed', 'cancelled')) = (payment_id IS NOT NULL)),
    CONSTRAINT reservations_time_of_cancellation CHECK ((state = 'cancelled') = (cancelled_at IS NOT NULL)),
    CONSTRAINT reservations_placed_if_changed CHECK (revision = 0 OR placed IS NOT NULL)
);

CREATE INDEX reservations_of_user ON reservations (user_id, held_at DESC, id DESC);
CREATE INDEX reservations_due ON reservations (expires_at, id) WHERE state = 'held';

CREATE TABLE reservation_seats (
    reservation_id uuid NOT NULL,
    slot integer NOT NULL CHECK (slot >= 0),
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    PRIMARY KEY (reservation_id, slot)
);

-- What operators did to keep seats from sale, and to give them back. A row never changes; the claims say what is blocked now.
CREATE TABLE seat_blocks (
    id uuid PRIMARY KEY,
    performance_id uuid NOT NULL REFERENCES performances,
    operator_id uuid NOT NULL REFERENCES users,
    -- Null where seats were given back.
    reason text CHECK (reason <> ''),
    slots integer[] NOT NULL CHECK (cardinality(slots) > 0),
    made_at timestamptz NOT NULL
);

-- A seat of a performance is held, sold or blocked while its row is here. The primary key decides who gets a seat. A
-- claim belongs to a reservation and its fan, or to a block.
CREATE TABLE claims (
    performance_id uuid NOT NULL,
    slot integer NOT NULL,
    reservation_id uuid,
    user_id uuid,
    block_id uuid REFERENCES seat_blocks,
    PRIMARY KEY (performance_id, slot),
    CONSTRAINT claims_one_owner CHECK (
        (reservation_id IS NULL) = (user_id IS NULL) AND (reservation_id IS NULL) <> (block_id IS NULL)
    )
);

-- The fan comes first. With the performance first, the planner may use this index to look up certain seats, and then
-- reads all claims of the performance.
CREATE INDEX claims_of_fan ON claims (user_id, performance_id);
