DROP TABLE queue_draws;
DROP TABLE queue_entry_counts;
DROP TABLE queue_entries;
DROP TABLE ended_queue_tokens;
DROP TABLE queue_records;
DROP TABLE queues;
