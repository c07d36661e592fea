DROP INDEX card_payments_of_performance;
DROP INDEX payments_of_performance;
DROP INDEX reservations_of_performance;
