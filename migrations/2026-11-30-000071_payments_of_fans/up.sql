-- Fans list their payments, those by card too, whether or not they were made.
CREATE INDEX card_payments_of_user ON card_payments (user_id, id DESC);
