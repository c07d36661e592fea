-- A fan withdraws the balance of a wallet to the card that topped it up.
ALTER TABLE refunds DROP CONSTRAINT refunds_cause_check;
ALTER TABLE refunds ADD CONSTRAINT refunds_cause_check
    CHECK (cause IN ('cancelled', 'unsold', 'not_taken', 'withdrawn')) NOT VALID;
CREATE INDEX card_payments_top_ups ON card_payments (user_id, id DESC) WHERE reservation_id IS NULL;
