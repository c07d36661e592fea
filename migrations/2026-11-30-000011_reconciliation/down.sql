DROP TABLE gateway_differences;
DROP INDEX payment_attempts_unreconciled;
ALTER TABLE payment_attempts DROP COLUMN reconciled_at;
