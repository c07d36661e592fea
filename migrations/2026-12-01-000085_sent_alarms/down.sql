DROP TABLE sent_alarms;
