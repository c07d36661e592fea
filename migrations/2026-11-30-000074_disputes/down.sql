ALTER TABLE payment_events DROP CONSTRAINT payment_events_step_check;
ALTER TABLE payment_events ADD CONSTRAINT payment_events_step_check
    CHECK (step IN ('authorize', 'confirm', 'capture', 'void', 'expire', 'revoke', 'refund'));
