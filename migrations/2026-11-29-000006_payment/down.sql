DROP TABLE refunds;
ALTER TABLE reservations DROP CONSTRAINT reservations_payment_id_fkey;
DROP TABLE payments;
