DROP TABLE performance_drafts;
