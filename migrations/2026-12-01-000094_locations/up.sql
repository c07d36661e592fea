-- Where a venue is. Venues that were imported before have no location; the three columns are set together. The key is the city as `SortKey` of
-- the domain makes it, by which it is compared.
ALTER TABLE venues
    ADD COLUMN city text,
    ADD COLUMN city_key text COLLATE "C",
    ADD COLUMN country text,
    ADD COLUMN time_zone text,
    ADD CONSTRAINT venues_location CHECK (num_nonnulls(city, city_key, country, time_zone) IN (0, 4));
