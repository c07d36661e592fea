-- Where each relay of the outbox is, and which instance runs it until when.
CREATE TABLE event_relays (
    name text COLLATE "C" PRIMARY KEY,
    holder uuid,
    leased_until timestamptz,
    -- Everything up to this place is published, but for the keys that are held back.
    window_number bigint NOT NULL DEFAULT 0,
    sequence bigint NOT NULL DEFAULT 0,
    -- A list of objects, which is empty nearly always.
    held_back jsonb NOT NULL DEFAULT '[]',
    CHECK ((holder IS NULL) = (leased_until IS NULL))
);

-- Events of changes before this moment may have been deleted from the outbox. No row means that none was.
CREATE TABLE outbox_forgotten (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    before timestamptz NOT NULL
);
