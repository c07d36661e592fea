-- What was sent to operators, and when, so that several instances send it once. A row for each alarm of the last days.
CREATE TABLE sent_alarms (
    name text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    sent_at timestamptz NOT NULL,
    PRIMARY KEY (name, subject)
);
