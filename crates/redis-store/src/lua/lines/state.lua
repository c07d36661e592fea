-- The state of a ticket.
-- KEYS  see token.lua
-- ARGV  1 epoch, 2 number, 3 now in ms
-- Reply {name, detail}, see token.lua
-- Cost  O(log cap)
return ticket_state(ARGV[1], ARGV[2], tonumber(ARGV[3]))
