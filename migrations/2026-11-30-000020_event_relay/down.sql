DROP TABLE outbox_forgotten;
DROP TABLE event_relays;
