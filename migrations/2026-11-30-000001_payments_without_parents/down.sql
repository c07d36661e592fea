ALTER TABLE ledger_entries ADD CONSTRAINT ledger_entries_transfer_id_fkey FOREIGN KEY (transfer_id) REFERENCES transfers;
ALTER TABLE transfers
    ADD CONSTRAINT transfers_user_id_fkey FOREIGN KEY (user_id) REFERENCES users,
    ADD CONSTRAINT transfers_refund_id_fkey FOREIGN KEY (refund_id) REFERENCES refunds;
ALTER TABLE reservations ADD CONSTRAINT reservations_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments;
ALTER TABLE payments
    ADD CONSTRAINT payments_reservation_id_fkey FOREIGN KEY (reservation_id) REFERENCES reservations,
    ADD CONSTRAINT payments_user_id_fkey FOREIGN KEY (user_id) REFERENCES users;
