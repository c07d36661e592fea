-- `ticket_number` keeps the index of the ticket: before there were lanes, an index was always a number.
ALTER TABLE payments ADD COLUMN ticket_lane smallint NOT NULL DEFAULT 0;

-- The places of a line whose tickets were used up. One ticket may pay several holds; the first is named.
CREATE TABLE used_tickets (
    performance_id uuid NOT NULL,
    epoch bigint NOT NULL,
    lane smallint NOT NULL CHECK (lane >= 0),
    index bigint NOT NULL CHECK (index > 0),
    payment_id uuid NOT NULL REFERENCES payments,
    PRIMARY KEY (performance_id, epoch, lane, index)
);
