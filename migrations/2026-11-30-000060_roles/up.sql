-- The roles of those who work for the house beside operators.
ALTER TABLE users DROP CONSTRAINT users_role_check;
ALTER TABLE users ADD CONSTRAINT users_role_check
    CHECK (role IN ('fan', 'support', 'box_office', 'operator', 'auditor', 'check_in')) NOT VALID;
