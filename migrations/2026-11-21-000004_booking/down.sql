DROP TABLE claims;
DROP TABLE reservation_seats;
DROP TABLE reservations;
