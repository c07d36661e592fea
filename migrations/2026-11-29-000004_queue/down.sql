DROP TABLE queue_draws;
DROP TABLE ended_queue_tokens;
DROP TABLE queue_records;
DROP TABLE queues;
