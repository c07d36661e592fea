-- What became of a performance after it was published. `revision` counts the changes, and `changed_at` is when the last was made: instances
-- read what was changed lately, and replace their copies.
ALTER TABLE performances
    ADD COLUMN revision integer NOT NULL DEFAULT 0,
    ADD COLUMN changed_at timestamptz,
    -- These three are set together, by the last time it was postponed. `postponed_from` is the start that was announced first.
    ADD COLUMN postponed_from timestamptz,
    ADD COLUMN postponed_at timestamptz,
    ADD COLUMN refunds_until timestamptz,
    ADD COLUMN withdrawn_at timestamptz;

-- Most performances are never changed.
CREATE INDEX performances_by_change ON performances (changed_at, id) WHERE changed_at IS NOT NULL;
