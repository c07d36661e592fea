DROP INDEX performances_by_opening;
DROP INDEX venues_of_country;
DROP INDEX venues_of_city;
DROP INDEX venues_by_words;
DROP INDEX venues_by_name;
DROP INDEX concerts_by_title;
ALTER TABLE venues
    DROP COLUMN search_words,
    DROP COLUMN name_key;
ALTER TABLE concerts DROP COLUMN title_key;
