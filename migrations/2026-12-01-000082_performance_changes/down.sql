DROP INDEX performances_by_change;
ALTER TABLE performances
    DROP COLUMN withdrawn_at,
    DROP COLUMN refunds_until,
    DROP COLUMN postponed_at,
    DROP COLUMN postponed_from,
    DROP COLUMN changed_at,
    DROP COLUMN revision;
