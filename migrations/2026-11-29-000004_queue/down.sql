DROP TABLE queue_draws;
DROP TABLE queue_records;
DROP TABLE queues;
