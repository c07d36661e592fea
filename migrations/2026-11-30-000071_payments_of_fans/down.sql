DROP INDEX card_payments_of_user;
