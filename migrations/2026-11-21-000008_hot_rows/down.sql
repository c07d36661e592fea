DROP INDEX claims_of_fan;
CREATE INDEX claims_of_fan ON claims (performance_id, user_id);
ALTER TABLE reservations ADD CONSTRAINT reservations_performance_id_fkey FOREIGN KEY (performance_id) REFERENCES performances;
