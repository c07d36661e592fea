-- What operators did to keep seats from sale, and to give them back. A row never changes; the claims say what is blocked now.
CREATE TABLE seat_blocks (
    id uuid PRIMARY KEY,
    performance_id uuid NOT NULL REFERENCES performances,
    operator_id uuid NOT NULL REFERENCES users,
    -- Null where seats were given back.
    reason text CHECK (reason <> ''),
    slots integer[] NOT NULL CHECK (cardinality(slots) > 0),
    made_at timestamptz NOT NULL
);

-- A claim is of a reservation and its fan, or of a block. What is there already is of a reservation, and is not read again.
ALTER TABLE claims
    ALTER COLUMN reservation_id DROP NOT NULL,
    ALTER COLUMN user_id DROP NOT NULL,
    ADD COLUMN block_id uuid,
    ADD CONSTRAINT claims_block_id_fkey FOREIGN KEY (block_id) REFERENCES seat_blocks NOT VALID,
    ADD CONSTRAINT claims_one_owner CHECK (
        (reservation_id IS NULL) = (user_id IS NULL) AND (reservation_id IS NULL) <> (block_id IS NULL)
    ) NOT VALID;
