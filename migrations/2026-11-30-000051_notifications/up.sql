-- The events of which a fan was told, or cannot be. Rows go when no relay reads so old events again.
CREATE TABLE notifications (
    event_id text COLLATE "C" PRIMARY KEY,
    noted_at timestamptz NOT NULL
);
CREATE INDEX notifications_by_age ON notifications (noted_at);
