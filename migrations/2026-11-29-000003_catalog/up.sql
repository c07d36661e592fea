CREATE TABLE venues (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    -- The point to which the best seats are near, in pixels; null if the plan decides.
    focal_x double precision,
    focal_y double precision,
    -- The size and the shapes of the plan. Pages draw them, and no query looks into them.
    drawing jsonb NOT NULL,
    CHECK ((focal_x IS NULL) = (focal_y IS NULL))
);

-- A seat chart refers to its parts by index; `ordinal` is that index.

CREATE TABLE grades (
    venue_id uuid NOT NULL REFERENCES venues,
    ordinal integer NOT NULL CHECK (ordinal >= 0),
    name text NOT NULL,
    color text NOT NULL,
    PRIMARY KEY (venue_id, ordinal)
);

CREATE TABLE sections (
    venue_id uuid NOT NULL REFERENCES venues,
    ordinal integer NOT NULL CHECK (ordinal >= 0),
    name text NOT NULL,
    -- As in `venues`; null if it has none of its own.
    focal_x double precision,
    focal_y double precision,
    PRIMARY KEY (venue_id, ordinal),
    CHECK ((focal_x IS NULL) = (focal_y IS NULL))
);

CREATE TABLE rows (
    venue_id uuid NOT NULL,
    ordinal integer NOT NULL CHECK (ordinal >= 0),
    section integer NOT NULL,
    label text NOT NULL,
    PRIMARY KEY (venue_id, ordinal),
    FOREIGN KEY (venue_id, section) REFERENCES sections
);

CREATE TABLE seats (
    venue_id uuid NOT NULL,
    slot integer NOT NULL CHECK (slot >= 0),
    seat_id text NOT NULL,
    "row" integer NOT NULL,
    number text NOT NULL,
    grade integer NOT NULL,
    x double precision NOT NULL,
    y double precision NOT NULL,
    accessible boolean NOT NULL,
    PRIMARY KEY (venue_id, slot),
    CONSTRAINT seats_once_per_seat_id UNIQUE (venue_id, seat_id),
    FOREIGN KEY (venue_id, "row") REFERENCES rows,
    FOREIGN KEY (venue_id, grade) REFERENCES grades
);

-- General admission areas: sections without seats. Their units are the slots from the first on, and have no rows of their own.
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

CREATE TABLE concerts (
    id uuid PRIMARY KEY,
    title text NOT NULL,
    artist text NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE performances (
    id uuid PRIMARY KEY,
    concert_id uuid NOT NULL REFERENCES concerts,
    venue_id uuid NOT NULL REFERENCES venues,
    starts_at timestamptz NOT NULL,
    opens_at timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    currency text COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- By the ordinal of the grade; null if its seats are not for sale.
    prices_minor bigint[] NOT NULL,
    seats_per_fan integer NOT NULL CHECK (seats_per_fan > 0),
    hold_for_ms bigint NOT NULL CHECK (hold_for_ms > 0),
    has_queue boolean NOT NULL
);

CREATE INDEX performances_of_concert ON performances (concert_id, starts_at, id);
-- Most performances have closed, so few rows have a later `closes_at`.
CREATE INDEX performances_on_sale ON performances (closes_at);
