DELETE FROM claims WHERE block_id IS NOT NULL;
ALTER TABLE claims
    DROP CONSTRAINT claims_one_owner,
    DROP COLUMN block_id,
    ALTER COLUMN user_id SET NOT NULL,
    ALTER COLUMN reservation_id SET NOT NULL;
DROP TABLE seat_blocks;
DELETE FROM requests WHERE operation IN ('block_seats', 'unblock_seats');
