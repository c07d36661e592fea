CREATE TABLE users (
    id uuid PRIMARY KEY,
    -- In lower case.
    email text NOT NULL,
    display_name text NOT NULL,
    role text NOT NULL CHECK (role IN ('fan', 'operator')),
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT users_by_email UNIQUE (email)
);
