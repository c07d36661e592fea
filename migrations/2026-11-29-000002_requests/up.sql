-- The effect of each request, written in the transaction of that effect. A repeat finds its first result here. A concurrent
-- duplicate waits on the primary key until the first transaction has committed or rolled back.
CREATE TABLE requests (
    -- The nil id for sign-ups, where nobody is logged in: so there is no foreign key.
    user_id uuid NOT NULL,
    request_id uuid NOT NULL,
    operation text NOT NULL,
    -- A version byte and what that version of the server makes of the request's body. The length is bounded and not fixed, so
    -- that two versions of the server can write side by side.
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) BETWEEN 2 AND 64),
    -- What the request created or changed; the answer is read from there.
    result_id uuid NOT NULL,
    -- The answer itself, only where later changes would hide it.
    answer jsonb,
    -- Null where the operation carries no time.
    created_at timestamptz,
    PRIMARY KEY (user_id, request_id)
);
