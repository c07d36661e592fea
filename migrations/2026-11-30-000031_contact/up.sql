-- What a user said about the person, beside e-mail address and name. `deleted_at` is set when all of it was emptied: the id stays,
-- because the books name it.
ALTER TABLE users ADD COLUMN phone text;
ALTER TABLE users ADD COLUMN address jsonb;
ALTER TABLE users ADD COLUMN deleted_at timestamptz;
