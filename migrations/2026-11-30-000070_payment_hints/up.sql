-- Hints of the gateway about a payment that an instance is driving.
ALTER TABLE card_payments
    -- The end of the latest lease by an instance. The payment is leased while `due_at` has the same value.
    ADD COLUMN leased_until timestamptz,
    -- The first hint since the lease began. If there is one, the payment is due at once when the lease is given up.
    ADD COLUMN hinted_at timestamptz;
