ALTER TABLE card_payments DROP COLUMN leased_until, DROP COLUMN hinted_at;
