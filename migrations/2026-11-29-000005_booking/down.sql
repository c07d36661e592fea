DROP TABLE claims;
DROP TABLE seat_blocks;
DROP TABLE reservation_seats;
DROP TABLE reservations;
