-- What happens to a performance once, and is told once: its queue opens, or it is cancelled. The row is inserted by whoever notes it first,
-- with the event of it.
CREATE TABLE performance_milestones (
    performance_id uuid NOT NULL REFERENCES performances,
    milestone text NOT NULL CHECK (milestone IN ('queue_opened', 'cancelled')),
    noted_at timestamptz NOT NULL,
    PRIMARY KEY (performance_id, milestone)
);
