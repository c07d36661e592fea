-- What a new password can be set with, once. Of the secret that was sent by mail only the digest is kept.
CREATE TABLE password_resets (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    user_id uuid NOT NULL REFERENCES users,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX password_resets_of_user ON password_resets (user_id, made_at);
CREATE INDEX password_resets_due ON password_resets (expires_at);
