-- What each request did, kept in the transaction of the change: a repeat finds its first result here, and a concurrent
-- twin waits on the primary key until the first has committed or gone.
CREATE TABLE requests (
    -- The nil id for sign-ups, where nobody is logged in: so no foreign key.
    user_id uuid NOT NULL,
    request_id uuid NOT NULL,
    operation text NOT NULL,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    -- What the change made or changed; the answer is read from there.
    result_id uuid NOT NULL,
    -- The answer itself, only where later changes would hide it.
    answer jsonb,
    -- None where the operation carries no time.
    created_at timestamptz,
    PRIMARY KEY (user_id, request_id)
);
