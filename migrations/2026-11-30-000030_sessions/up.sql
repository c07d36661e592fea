-- The sessions of users. Of their tokens only digests are kept.
CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users,
    -- What the client called itself.
    device text,
    started_at timestamptz NOT NULL,
    refreshed_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Null while the session has not ended.
    ended_at timestamptz,
    family_digest bytea NOT NULL CHECK (octet_length(family_digest) = 32),
    -- The refresh token that was handed out last, and the salt that gives it.
    token_digest bytea NOT NULL CHECK (octet_length(token_digest) = 32),
    salt bytea NOT NULL CHECK (octet_length(salt) = 32),
    -- The refresh token before it.
    used_digest bytea CHECK (octet_length(used_digest) = 32),
    used_at timestamptz,
    CONSTRAINT a_used_token_has_a_time CHECK ((used_digest IS NULL) = (used_at IS NULL))
);
CREATE INDEX sessions_of_user ON sessions (user_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_due ON sessions (expires_at) WHERE ended_at IS NULL;
-- Every instance reads it several times a second.
CREATE INDEX sessions_by_end ON sessions (ended_at, id) WHERE ended_at IS NOT NULL;
