CREATE TABLE reservations (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    performance_id uuid NOT NULL REFERENCES performances,
    total_minor bigint NOT NULL CHECK (total_minor >= 0),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    state text NOT NULL CHECK (state IN ('held', 'confirmed', 'expired', 'released')),
    held_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    settled_at timestamptz,
    payment_id uuid,
    CONSTRAINT reservations_settled_unless_held CHECK ((state = 'held') = (settled_at IS NULL)),
    CONSTRAINT reservations_paid_if_confirmed CHECK ((state = 'confirmed') = (payment_id IS NOT NULL))
);

CREATE INDEX reservations_of_user ON reservations (user_id, held_at DESC, id DESC);
CREATE INDEX reservations_due ON reservations (expires_at, id) WHERE state = 'held';

CREATE TABLE reservation_seats (
    reservation_id uuid NOT NULL REFERENCES reservations,
    slot integer NOT NULL CHECK (slot >= 0),
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    PRIMARY KEY (reservation_id, slot)
);

-- A seat of a performance is held or sold while its row is here. The primary key is the last word on double selling.
CREATE TABLE claims (
    performance_id uuid NOT NULL,
    slot integer NOT NULL,
    reservation_id uuid NOT NULL REFERENCES reservations,
    user_id uuid NOT NULL,
    PRIMARY KEY (performance_id, slot)
);

CREATE INDEX claims_of_fan ON claims (performance_id, user_id);
