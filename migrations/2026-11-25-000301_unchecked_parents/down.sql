ALTER TABLE reservations ADD CONSTRAINT reservations_user_id_fkey FOREIGN KEY (user_id) REFERENCES users;
ALTER TABLE reservation_seats
    ADD CONSTRAINT reservation_seats_reservation_id_fkey FOREIGN KEY (reservation_id) REFERENCES reservations;
ALTER TABLE claims ADD CONSTRAINT claims_reservation_id_fkey FOREIGN KEY (reservation_id) REFERENCES reservations;
