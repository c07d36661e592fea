DROP TABLE used_tickets;
ALTER TABLE payments DROP COLUMN ticket_lane;
