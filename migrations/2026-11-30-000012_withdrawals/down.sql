DROP INDEX card_payments_top_ups;
ALTER TABLE refunds DROP CONSTRAINT refunds_cause_check;
ALTER TABLE refunds ADD CONSTRAINT refunds_cause_check CHECK (cause IN ('cancelled', 'unsold', 'not_taken'));
