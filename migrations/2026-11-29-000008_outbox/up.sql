-- Events, each written in the transaction that it describes and as that transaction's last statement.
--
-- Numbers of the sequence are drawn before their transactions commit, so a reader that followed them alone would miss events.
-- A reader goes by windows instead: it reads the events of transactions between two bounds, both of which were once the
-- oldest transaction that had not ended (the xmin of a snapshot), in the order of their sequence. Writers take no lock for it.
CREATE TABLE outbox (
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    -- Unique, which the auditor checks: an index of texts would cost every hold more than the row itself.
    event_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    key uuid NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (transaction_id, sequence)
);

-- The bounds of the windows. All transactions below a bound had ended when it was written.
CREATE TABLE outbox_windows (
    before xid8 PRIMARY KEY
);

-- How far each consumer has come: in the window that begins here, after this sequence. One instance at a time is the holder.
CREATE TABLE outbox_consumers (
    name text COLLATE "C" PRIMARY KEY,
    window_begin xid8 NOT NULL,
    sequence bigint NOT NULL,
    holder uuid NOT NULL,
    held_until timestamptz NOT NULL
);
