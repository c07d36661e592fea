ALTER TABLE reservations DROP COLUMN placed, DROP COLUMN revision;
