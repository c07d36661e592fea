-- Hints of the gateway about a payment that an instance is driving.
ALTER TABLE card_payments
    -- `due_at`, if that is the end of the lease of the instance that drives the payment. Any other value is of an older lease.
    ADD COLUMN leased_until timestamptz,
    -- The first hint since the lease began. When the lease is given back, the payment is due at once.
    ADD COLUMN hinted_at timestamptz;
