-- Standing areas: sections without seats. Their spots are the slots from the first on, and have no rows of their own.
CREATE TABLE areas (
    venue_id uuid NOT NULL,
    first_slot integer NOT NULL CHECK (first_slot >= 0),
    section integer NOT NULL,
    grade integer NOT NULL,
    capacity integer NOT NULL CHECK (capacity > 0),
    PRIMARY KEY (venue_id, first_slot),
    CONSTRAINT areas_once_per_section UNIQUE (venue_id, section),
    FOREIGN KEY (venue_id, section) REFERENCES sections,
    FOREIGN KEY (venue_id, grade) REFERENCES grades
);
