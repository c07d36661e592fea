-- When a user showed that mails are received at the address. Null: not yet.
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;

-- What an e-mail address can be verified with, once. Of the secret that was sent by mail only the digest is kept.
CREATE TABLE email_verifications (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    user_id uuid NOT NULL REFERENCES users,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX email_verifications_of_user ON email_verifications (user_id, made_at);
CREATE INDEX email_verifications_due ON email_verifications (expires_at);
