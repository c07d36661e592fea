ALTER TABLE lines
    ADD COLUMN draining boolean NOT NULL DEFAULT false,
    -- None is any number.
    ADD COLUMN hold_tries integer CHECK (hold_tries > 0),
    ADD COLUMN message text CHECK (message <> ''),
    -- By the index of the lane.
    ADD COLUMN lane_names text[] COLLATE "C" NOT NULL DEFAULT '{general}'
        CHECK (cardinality(lane_names) BETWEEN 1 AND 8 AND array_position(lane_names, NULL) IS NULL),
    ADD COLUMN lane_weights integer[] NOT NULL DEFAULT '{1}' CHECK (0 < ALL (lane_weights)),
    -- From when on fans may join a line that collects them before the sale opens, and the secret of its draw.
    ADD COLUMN collects_from timestamptz,
    ADD COLUMN draw_key bytea CHECK (octet_length(draw_key) = 32),
    ADD CONSTRAINT lines_whole_lanes CHECK (cardinality(lane_names) = cardinality(lane_weights)),
    ADD CONSTRAINT lines_whole_draw CHECK ((collects_from IS NULL) = (draw_key IS NULL));

-- What a line is put in place from when the store that runs it has lost it.
CREATE TABLE line_records (
    performance_id uuid PRIMARY KEY REFERENCES lines,
    epoch bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- By the index of the lane.
    heads bigint[] NOT NULL CHECK (0 <= ALL (heads)),
    tails bigint[] NOT NULL CHECK (0 <= ALL (tails)),
    limits bigint[] NOT NULL CHECK (0 <= ALL (limits)),
    -- Who is inside, one in each place of the four arrays.
    inside_lanes smallint[] NOT NULL,
    inside_numbers bigint[] NOT NULL,
    inside_until timestamptz[] NOT NULL,
    inside_active boolean[] NOT NULL,
    unspent bigint NOT NULL CHECK (unspent >= 0),
    CONSTRAINT line_records_whole_lanes CHECK (
        cardinality(heads) = cardinality(limits) AND cardinality(tails) = cardinality(limits)
    ),
    CONSTRAINT line_records_whole_inside CHECK (
        cardinality(inside_numbers) = cardinality(inside_lanes)
        AND cardinality(inside_until) = cardinality(inside_lanes)
        AND cardinality(inside_active) = cardinality(inside_lanes)
    )
);

-- How many had joined each lane before its numbers were drawn. A draw is one row, so that of several who keep one at once, all
-- lanes are of the same.
CREATE TABLE line_draws (
    performance_id uuid PRIMARY KEY REFERENCES lines,
    -- One lane in each place of the three arrays.
    lanes smallint[] NOT NULL,
    joined bigint[] NOT NULL CHECK (0 <= ALL (joined)),
    digests bytea[] NOT NULL,
    CONSTRAINT line_draws_whole_lanes CHECK (
        cardinality(joined) = cardinality(lanes) AND cardinality(digests) = cardinality(lanes)
    )
);
