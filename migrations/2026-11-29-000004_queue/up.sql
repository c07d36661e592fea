-- The settings of a performance's queue, in a table of their own because they change during a sale.
CREATE TABLE queues (
    performance_id uuid PRIMARY KEY REFERENCES performances,
    rate_admissions integer NOT NULL CHECK (rate_admissions > 0),
    rate_period_ms bigint NOT NULL CHECK (rate_period_ms > 0),
    batch integer NOT NULL CHECK (batch > 0),
    max_active integer NOT NULL CHECK (max_active > 0),
    paused boolean NOT NULL,
    accept_window_ms bigint NOT NULL CHECK (accept_window_ms >= 0),
    active_duration_ms bigint NOT NULL CHECK (active_duration_ms >= 0),
    grace_ms bigint NOT NULL CHECK (grace_ms >= 0),
    draining boolean NOT NULL,
    -- Null for any number.
    hold_tries integer CHECK (hold_tries > 0),
    message text CHECK (message <> ''),
    -- By the index of the lane.
    lane_names text[] COLLATE "C" NOT NULL
        CHECK (cardinality(lane_names) BETWEEN 1 AND 8 AND array_position(lane_names, NULL) IS NULL),
    lane_weights integer[] NOT NULL CHECK (0 < ALL (lane_weights)),
    -- The moment from which fans may join before the sale opens, and the secret of the draw.
    pre_queue_opens_at timestamptz,
    draw_key bytea CHECK (octet_length(draw_key) = 32),
    CONSTRAINT queues_whole_lanes CHECK (cardinality(lane_names) = cardinality(lane_weights)),
    CONSTRAINT queues_whole_draw CHECK ((pre_queue_opens_at IS NULL) = (draw_key IS NULL))
);

-- The checkpoint from which a queue is restored after the store that runs it has lost it.
CREATE TABLE queue_records (
    performance_id uuid PRIMARY KEY REFERENCES queues,
    epoch bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    -- By the index of the lane.
    heads bigint[] NOT NULL CHECK (0 <= ALL (heads)),
    tails bigint[] NOT NULL CHECK (0 <= ALL (tails)),
    limits bigint[] NOT NULL CHECK (0 <= ALL (limits)),
    -- The fans who are called or active: one fan at each index of the five arrays.
    inside_lanes smallint[] NOT NULL,
    inside_numbers bigint[] NOT NULL,
    inside_until timestamptz[] NOT NULL,
    inside_active boolean[] NOT NULL,
    inside_accessible boolean[] NOT NULL,
    unspent bigint NOT NULL CHECK (unspent >= 0),
    CONSTRAINT queue_records_whole_lanes CHECK (
        cardinality(heads) = cardinality(limits) AND cardinality(tails) = cardinality(limits)
    ),
    CONSTRAINT queue_records_whole_inside CHECK (
        cardinality(inside_numbers) = cardinality(inside_lanes)
        AND cardinality(inside_until) = cardinality(inside_lanes)
        AND cardinality(inside_active) = cardinality(inside_lanes)
        AND cardinality(inside_accessible) = cardinality(inside_lanes)
    )
);

-- The queue tokens that have ended: by the payment that left the fan no live hold, or because the fan left, took another token, or
-- was absent. A restored queue ends them again.
CREATE TABLE ended_queue_tokens (
    performance_id uuid NOT NULL,
    epoch bigint NOT NULL,
    lane smallint NOT NULL CHECK (lane >= 0),
    index bigint NOT NULL CHECK (index > 0),
    reason text COLLATE "C" NOT NULL CHECK (reason IN ('used', 'left', 'expired', 'abandoned', 'replaced', 'limit_reached')),
    PRIMARY KEY (performance_id, epoch, lane, index)
);

-- The fans who joined a queue before its numbers were drawn. A fan has one index for each lane, which never changes.
CREATE TABLE queue_entries (
    performance_id uuid NOT NULL,
    user_id uuid NOT NULL,
    lane smallint NOT NULL CHECK (lane >= 0),
    index bigint NOT NULL CHECK (index > 0),
    PRIMARY KEY (performance_id, user_id, lane),
    CONSTRAINT queue_entries_once UNIQUE (performance_id, lane, index)
);

-- How many entries each lane of a queue has. Whoever adds entries locks the row. When it is closed, nobody adds any.
CREATE TABLE queue_entry_counts (
    performance_id uuid PRIMARY KEY REFERENCES queues,
    -- By the index of the lane.
    joined bigint[] NOT NULL CHECK (0 <= ALL (joined)),
    closed boolean NOT NULL
);

-- How many fans had joined each lane before its numbers were drawn. A draw is one row, so that when several instances write one
-- at once, all lanes come from the same instance.
CREATE TABLE queue_draws (
    performance_id uuid PRIMARY KEY REFERENCES queues,
    -- One lane at each index of the three arrays.
    lanes smallint[] NOT NULL,
    joined bigint[] NOT NULL CHECK (0 <= ALL (joined)),
    digests bytea[] NOT NULL,
    CONSTRAINT queue_draws_whole_lanes CHECK (
        cardinality(joined) = cardinality(lanes) AND cardinality(digests) = cardinality(lanes)
    )
);
