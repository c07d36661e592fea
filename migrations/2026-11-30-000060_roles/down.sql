-- Whoever has a role that was not known before becomes a fan, who may do least.
UPDATE users SET role = 'fan' WHERE role NOT IN ('fan', 'operator');
ALTER TABLE users DROP CONSTRAINT users_role_check;
ALTER TABLE users ADD CONSTRAINT users_role_check CHECK (role IN ('fan', 'operator'));
