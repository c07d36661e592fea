DROP INDEX performances_of_venue;
DROP INDEX performances_by_start;
DROP INDEX concerts_by_words;
ALTER TABLE concerts DROP COLUMN search_words;
