-- The last request that was checked, with its time in `before`: several may have been made at one moment. Whatever was made at `before`
-- comes after the zero ids.
ALTER TABLE requests_forgotten
    ADD COLUMN user_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ADD COLUMN request_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
