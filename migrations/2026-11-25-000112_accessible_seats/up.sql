ALTER TABLE seats ADD COLUMN accessible boolean NOT NULL DEFAULT false;
