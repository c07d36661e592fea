CREATE TABLE payments (
    id uuid PRIMARY KEY,
    reservation_id uuid NOT NULL REFERENCES reservations,
    user_id uuid NOT NULL REFERENCES users,
    performance_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    paid_at timestamptz NOT NULL,
    -- The queue token that the payment ended, of this user and performance; null if it ended none.
    token_epoch bigint,
    token_lane smallint NOT NULL DEFAULT 0,
    token_index bigint,
    -- Whether the seat locks and the queue are known to have received the payment.
    propagated boolean NOT NULL DEFAULT false,
    method text NOT NULL DEFAULT 'wallet' CHECK (method IN ('wallet', 'card')),
    CONSTRAINT payments_once_per_reservation UNIQUE (reservation_id),
    CONSTRAINT payments_whole_token CHECK ((token_epoch IS NULL) = (token_index IS NULL))
);

CREATE INDEX payments_of_user ON payments (user_id, id DESC);
CREATE INDEX payments_pending_propagation ON payments (performance_id, paid_at, id) WHERE NOT propagated;

ALTER TABLE reservations ADD CONSTRAINT reservations_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments;

-- Cancellations of paid seats. A row never changes.
CREATE TABLE refunds (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL,
    -- Null for a top-up.
    reservation_id uuid,
    user_id uuid NOT NULL,
    performance_id uuid,
    slots integer[] NOT NULL,
    -- Whether the reservation has no seat left.
    is_whole boolean NOT NULL,
    -- What was paid for the seats, and what is kept of it.
    price_minor bigint NOT NULL CHECK (price_minor >= 0),
    fee_minor bigint NOT NULL CHECK (fee_minor BETWEEN 0 AND price_minor),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- Null where the fan cancelled.
    operator_id uuid,
    reason text CHECK (reason <> ''),
    cause text NOT NULL CHECK (cause IN ('cancelled', 'unsold', 'not_taken')),
    -- Whether the money goes on to the card that paid.
    to_card boolean NOT NULL,
    made_at timestamptz NOT NULL,
    CONSTRAINT refunds_reason_of_operator CHECK ((operator_id IS NULL) = (reason IS NULL))
);

CREATE INDEX refunds_of_payment ON refunds (payment_id, made_at, id);
CREATE UNIQUE INDEX refunds_whole_once ON refunds (reservation_id) WHERE is_whole;
