-- What a fan changes of a live hold hides what was placed, which a repeat of the placing request is answered. So the first
-- change keeps that: null in holds that were never changed, which are nearly all.
ALTER TABLE reservations
    ADD COLUMN revision integer NOT NULL DEFAULT 0 CHECK (revision >= 0),
    ADD COLUMN placed jsonb,
    ADD CONSTRAINT reservations_placed_if_changed CHECK ((revision > 0) = (placed IS NOT NULL));
