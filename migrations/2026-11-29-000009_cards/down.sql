DROP TABLE payment_events;
DROP TABLE payment_attempts;
DROP TABLE card_payments;
