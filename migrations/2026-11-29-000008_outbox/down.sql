DROP TABLE outbox_windows;
DROP TABLE outbox;
