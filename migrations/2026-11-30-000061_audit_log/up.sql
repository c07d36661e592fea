-- What those who work for the house change. An entry is written in the transaction of its change, names everything by its id, and is
-- never changed or deleted. No foreign keys: an entry stays whatever becomes of what it names.
CREATE TABLE audit_entries (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    user_id uuid NOT NULL,
    -- The role that the access token said.
    role text NOT NULL,
    rpc text NOT NULL,
    target_kind text NOT NULL,
    -- The nil UUID for the switch of all sales, of which there is one.
    target_id uuid NOT NULL,
    -- An array of {"field", "before", "after"}.
    changes jsonb NOT NULL,
    reason text,
    request_id uuid
);

CREATE INDEX audit_entries_newest ON audit_entries (at, id);
CREATE INDEX audit_entries_of_user ON audit_entries (user_id, at, id);
CREATE INDEX audit_entries_of_target ON audit_entries (target_id, at, id);

CREATE FUNCTION refuse_to_change_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit entries are only appended';
END
$$;

CREATE TRIGGER audit_entries_are_only_appended BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_audit_entries();
