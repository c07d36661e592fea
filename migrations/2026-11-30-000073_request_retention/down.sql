DROP TABLE requests_forgotten;
DROP INDEX requests_due;
