CREATE TABLE payments (
    id uuid PRIMARY KEY,
    reservation_id uuid NOT NULL REFERENCES reservations,
    user_id uuid NOT NULL REFERENCES users,
    performance_id uuid NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    paid_at timestamptz NOT NULL,
    -- The queue token that the payment used up, of this user and performance.
    ticket_epoch bigint,
    ticket_number bigint,
    -- Whether the seat locks and the line are known to have been told.
    told boolean NOT NULL DEFAULT false,
    CONSTRAINT payments_once_per_reservation UNIQUE (reservation_id),
    CONSTRAINT payments_whole_ticket CHECK ((ticket_epoch IS NULL) = (ticket_number IS NULL))
);

CREATE INDEX payments_of_user ON payments (user_id, id DESC);
CREATE INDEX payments_untold ON payments (paid_at, id) WHERE NOT told;

ALTER TABLE reservations ADD CONSTRAINT reservations_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments;
ALTER TABLE transfers ADD CONSTRAINT transfers_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments;
