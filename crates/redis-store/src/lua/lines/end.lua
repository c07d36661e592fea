-- Ends a ticket, unless it has ended. The user is forgotten with it, so that members holds those who are in the line.
-- KEYS  see token.lua
-- ARGV  1 epoch, 2 number, 3 now in ms, 4 user, 5 the byte of the reason
-- Reply {name, detail} of the state afterwards, see token.lua
-- Cost  O(log cap)
local number, user, reason = ARGV[2], ARGV[4], ARGV[5]

local state = ticket_state(ARGV[1], number, tonumber(ARGV[3]))
if state[1] == 'ended' then
  return state
end
if state[1] == 'waiting' then
  redis.call('SETBIT', GONE, number, 1)
elseif state[1] == 'called' then
  redis.call('ZREM', CALLED, number)
else
  redis.call('ZREM', ACTIVE, number)
end
redis.call('SETRANGE', REASONS, number, reason)
if redis.call('HGET', MEMBERS, user) == number then
  redis.call('HDEL', MEMBERS, user)
end
return {'ended', reason}
