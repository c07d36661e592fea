-- Requests that placed or changed a hold are forgotten after a while. The ids of those that moved money are kept for ever, and so is the
-- id of each reservation, which follows from its request.
CREATE INDEX requests_due ON requests (created_at)
    WHERE operation IN ('place_hold', 'extend_hold', 'release_hold', 'release_seats');

-- The requests of holds that were made before this moment were checked, and forgotten where their holds exist. One row.
CREATE TABLE requests_forgotten (
    is_single boolean PRIMARY KEY CHECK (is_single),
    before timestamptz NOT NULL
);
INSERT INTO requests_forgotten VALUES (true, '-infinity');
