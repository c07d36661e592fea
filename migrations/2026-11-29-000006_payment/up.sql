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
    CONSTRAINT payments_once_per_reservation UNIQUE (reservation_id),
    CONSTRAINT payments_whole_token CHECK ((token_epoch IS NULL) = (token_index IS NULL))
);

CREATE INDEX payments_of_user ON payments (user_id, id DESC);
CREATE INDEX payments_pending_propagation ON payments (performance_id, paid_at, id) WHERE NOT propagated;

ALTER TABLE reservations ADD CONSTRAINT reservations_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments;
