-- Names as `SortKey` of the domain makes them, and the words by which a venue is found, as `SearchWords` makes them of its name and city.
-- Those that were added before get them from SQL, which keeps accents. An instance of the release before leaves them empty.
ALTER TABLE concerts ADD COLUMN title_key text COLLATE "C" NOT NULL DEFAULT '';
UPDATE concerts SET title_key = left(trim(regexp_replace(lower(title), '[^[:alnum:]]+', ' ', 'g')), 64);

ALTER TABLE venues
    ADD COLUMN name_key text COLLATE "C" NOT NULL DEFAULT '',
    ADD COLUMN search_words text[] NOT NULL DEFAULT '{}';
UPDATE venues SET
    name_key = left(trim(regexp_replace(lower(name), '[^[:alnum:]]+', ' ', 'g')), 64),
    search_words = ARRAY(
        SELECT DISTINCT left(word, 40)
        FROM regexp_split_to_table(lower(name), '[^[:alnum:]]+') AS word
        WHERE word <> ''
        ORDER BY 1
    );

CREATE INDEX concerts_by_title ON concerts (title_key, id);
CREATE INDEX venues_by_name ON venues (name_key, id);
CREATE INDEX venues_by_words ON venues USING gin (array_to_tsvector(search_words));
CREATE INDEX venues_of_city ON venues (city_key, country);
CREATE INDEX venues_of_country ON venues (country, name_key, id);
CREATE INDEX performances_by_opening ON performances (opens_at, id);
