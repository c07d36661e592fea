-- Performances that are planned. They are no rows of `performances` before they are published, so no query of fans can see them.
CREATE TABLE performance_drafts (
    -- Also of the performance, once it is published.
    id uuid PRIMARY KEY,
    concert_id uuid NOT NULL REFERENCES concerts,
    venue_id uuid NOT NULL REFERENCES venues,
    starts_at timestamptz NOT NULL,
    opens_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    currency text COLLATE "C" NOT NULL,
    prices_minor bigint[] NOT NULL,
    seats_per_fan integer NOT NULL,
    hold_for_ms bigint NOT NULL,
    -- The settings as in `queues`; null if it has no queue.
    queue jsonb,
    pre_queue_opens_at timestamptz,
    state text NOT NULL CHECK (state IN ('open', 'published', 'withdrawn'))
);

CREATE INDEX performance_drafts_open ON performance_drafts (id) WHERE state = 'open';
