ALTER TABLE transfers DROP CONSTRAINT transfers_payment_id_fkey;
ALTER TABLE reservations DROP CONSTRAINT reservations_payment_id_fkey;
DROP TABLE payments;
