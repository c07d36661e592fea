-- They can be told from the payments again.
DELETE FROM used_tickets;
