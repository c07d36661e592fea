-- The words by which a concert is found, as `SearchWords` of the domain makes them of its title and artist. Concerts that were added before
-- get them from SQL, which keeps accents.
ALTER TABLE concerts ADD COLUMN search_words text[] NOT NULL DEFAULT '{}';
UPDATE concerts SET search_words = ARRAY(
    SELECT DISTINCT left(word, 40)
    FROM regexp_split_to_table(lower(title || ' ' || artist), '[^[:alnum:]]+') AS word
    WHERE word <> ''
    ORDER BY 1
);
CREATE INDEX concerts_by_words ON concerts USING gin (array_to_tsvector(search_words));

CREATE INDEX performances_by_start ON performances (starts_at, id);
CREATE INDEX performances_of_venue ON performances (venue_id, starts_at, id);
