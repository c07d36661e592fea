DROP TABLE outbox_consumers;
DROP TABLE outbox_windows;
DROP TABLE outbox;
