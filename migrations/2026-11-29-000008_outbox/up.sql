-- Events, each written in the transaction that it describes and as that transaction's last statement.
--
-- Numbers of the sequence are drawn before their transactions commit, so a reader that followed them alone would miss events.
-- A reader goes by windows instead. A window begins with one snapshot and ends with a later one: it has the events of the
-- transactions that the later snapshot sees and the earlier does not. Writers take no lock for it.
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

-- Snapshots, each of which sees whatever the one before it sees.
CREATE TABLE outbox_windows (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ended_by pg_snapshot NOT NULL
);
