-- When an attempt was compared with the gateway. Null again when a refund of it is begun.
ALTER TABLE payment_attempts ADD COLUMN reconciled_at timestamptz;
CREATE INDEX payment_attempts_unreconciled ON payment_attempts (made_at, id) WHERE reconciled_at IS NULL;

-- What the last comparison of an attempt found.
CREATE TABLE gateway_differences (
    attempt_id uuid PRIMARY KEY REFERENCES payment_attempts,
    kind text NOT NULL,
    refund_id uuid,
    found_at timestamptz NOT NULL
);
