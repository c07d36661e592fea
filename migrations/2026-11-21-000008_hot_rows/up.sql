-- Every hold of a performance would lock the one row of the performance to see that it is there, and wait for the others that
-- do. Performances are never deleted, and the server has read the one it sells.
ALTER TABLE reservations DROP CONSTRAINT reservations_performance_id_fkey;

-- With the performance first, the planner may take this index for the claims on certain seats, and then reads all claims of
-- the performance. Led by the fan it serves nothing but its name.
DROP INDEX claims_of_fan;
CREATE INDEX claims_of_fan ON claims (user_id, performance_id);
