DROP TABLE performance_milestones;
