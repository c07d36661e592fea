ALTER TABLE payments DROP COLUMN balance_after_minor;
