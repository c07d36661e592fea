ALTER TABLE venues
    DROP CONSTRAINT venues_location,
    DROP COLUMN time_zone,
    DROP COLUMN country,
    DROP COLUMN city_key,
    DROP COLUMN city;
