ALTER TABLE requests_forgotten DROP COLUMN user_id, DROP COLUMN request_id;
