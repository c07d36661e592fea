-- Events, each written in the transaction that it describes and as that transaction's last statement.
CREATE TABLE outbox (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL,
    kind text NOT NULL,
    key uuid NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT outbox_once_per_event UNIQUE (event_id)
);
