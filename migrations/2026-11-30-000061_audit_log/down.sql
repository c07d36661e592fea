DROP TABLE audit_entries;
DROP FUNCTION refuse_to_change_audit_entries();
