-- Payments by card. What is paid has a row in `payments` of the same id, too.
CREATE TABLE card_payments (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    -- Null for a top-up.
    reservation_id uuid,
    performance_id uuid,
    amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    made_at timestamptz NOT NULL,
    -- When a worker of any instance takes it up: at the end of the lease of the one that has it, or when it is to be asked again.
    -- Null if there is nothing left to do.
    due_at timestamptz,
    tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    CONSTRAINT card_payments_whole_purpose CHECK ((reservation_id IS NULL) = (performance_id IS NULL))
);

CREATE UNIQUE INDEX card_payments_of_reservation ON card_payments (reservation_id) WHERE reservation_id IS NOT NULL;
CREATE INDEX card_payments_due ON card_payments (due_at, id) WHERE due_at IS NOT NULL;

-- One try with one card. A row never changes.
CREATE TABLE payment_attempts (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES card_payments,
    number integer NOT NULL CHECK (number >= 0),
    -- The gateway's token; never the number of a card.
    method text NOT NULL,
    made_at timestamptz NOT NULL,
    hold_until timestamptz NOT NULL,
    bound timestamptz NOT NULL,
    -- The queue token with which the fan pays.
    token_epoch bigint,
    token_lane smallint NOT NULL DEFAULT 0,
    token_index bigint,
    CONSTRAINT payment_attempts_in_order UNIQUE (payment_id, number),
    CONSTRAINT payment_attempts_whole_token CHECK ((token_epoch IS NULL) = (token_index IS NULL))
);

-- What happened to an attempt. Rows are only ever added; its state follows from them.
CREATE TABLE payment_events (
    attempt_id uuid NOT NULL REFERENCES payment_attempts,
    number integer NOT NULL CHECK (number >= 0),
    step text NOT NULL CHECK (step IN ('authorize', 'confirm', 'capture', 'void', 'expire', 'revoke', 'refund')),
    refund_id uuid,
    outcome text NOT NULL CHECK (outcome IN ('requested', 'unknown', 'needs_action', 'succeeded', 'failed')),
    -- The reason of a failure, or what the fan must do.
    detail text,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (attempt_id, number),
    CONSTRAINT payment_events_of_refund CHECK ((step = 'refund') = (refund_id IS NOT NULL)),
    CONSTRAINT payment_events_detail CHECK ((outcome IN ('needs_action', 'failed')) = (detail IS NOT NULL))
);
