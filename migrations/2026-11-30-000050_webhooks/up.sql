-- Endpoints outside that are sent events, how far each is, and which instance sends to it until when.
CREATE TABLE webhook_endpoints (
    id uuid PRIMARY KEY,
    url text NOT NULL,
    -- Empty for all.
    kinds text[] NOT NULL,
    performances uuid[] NOT NULL,
    -- The secret that signs, sealed with a key of the server; and the one before it while that is live.
    secret_id uuid NOT NULL,
    secret bytea NOT NULL,
    previous_secret_id uuid,
    previous_secret bytea,
    previous_secret_ends_at timestamptz,
    operator_id uuid NOT NULL REFERENCES users,
    made_at timestamptz NOT NULL,
    -- Set while it is sent nothing.
    disabled_at timestamptz,
    disabled_why text CHECK (disabled_why IN ('gone', 'failing')),
    -- Since when it has taken nothing, though it was sent something.
    failing_since timestamptz,
    -- Its deliveries go in small steps, and the row with the last of them.
    removed_at timestamptz,
    holder uuid,
    leased_until timestamptz,
    -- Everything up to this place of the outbox was tried.
    window_number bigint NOT NULL,
    sequence bigint NOT NULL,
    -- Events that are sent once more: from a cursor until a place, if they are not older than a moment.
    replay_id uuid,
    replay_since timestamptz,
    replay_window bigint,
    replay_sequence bigint,
    replay_until_window bigint,
    replay_until_sequence bigint,
    CHECK ((previous_secret_id IS NULL) = (previous_secret IS NULL)),
    CHECK ((previous_secret_id IS NULL) = (previous_secret_ends_at IS NULL)),
    CHECK ((disabled_at IS NULL) = (disabled_why IS NULL)),
    CHECK ((holder IS NULL) = (leased_until IS NULL)),
    CHECK (num_nulls(replay_id, replay_since, replay_window, replay_sequence, replay_until_window, replay_until_sequence) IN (0, 6))
);

-- What an endpoint was sent: a row is written after the first try of an event.
CREATE TABLE webhook_deliveries (
    endpoint_id uuid NOT NULL REFERENCES webhook_endpoints,
    event_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    key uuid NOT NULL,
    -- The place of the event in the outbox.
    window_number bigint NOT NULL,
    sequence bigint NOT NULL,
    tries integer NOT NULL CHECK (tries >= 0),
    began_at timestamptz NOT NULL,
    tried_at timestamptz NOT NULL,
    -- What the endpoint answered last: a status of HTTP, or nothing, and why.
    status smallint,
    failure text,
    state text COLLATE "C" NOT NULL CHECK (state IN ('delivered', 'waiting', 'given_up')),
    next_try_at timestamptz,
    PRIMARY KEY (endpoint_id, event_id),
    CHECK ((status IS NULL) <> (failure IS NULL)),
    CHECK ((next_try_at IS NOT NULL) = (state = 'waiting'))
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_try_at) WHERE next_try_at IS NOT NULL;
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id, tried_at, event_id);
CREATE INDEX webhook_deliveries_undelivered ON webhook_deliveries (endpoint_id, tried_at, event_id) WHERE state <> 'delivered';
CREATE INDEX webhook_deliveries_old ON webhook_deliveries (tried_at) WHERE next_try_at IS NULL;
