-- Ends a place, unless it has ended. The user is forgotten with it, so that members holds those who are in the queue.
-- KEYS and ARGV  see queue.lua and place.lua; 9 the byte of the reason, 10 what it counts as
-- Reply {name, detail} of the state afterwards, see place.lua
-- Cost  O(log maximum)
local reason, counts_as = ARGV[9], ARGV[10]

local state = state_to_change()
if state[1] == 'waiting' then
  end_waiting(LANE, NUMBER, head, reason)
elseif state[1] == 'called' then
  redis.call('ZREM', CALLED, INSIDE)
  redis.call('SETRANGE', of_lane('reasons', LANE), NUMBER, reason)
elseif state[1] == 'active' then
  redis.call('ZREM', ACTIVE, INSIDE)
  redis.call('HDEL', TRIES, INSIDE)
  redis.call('SETRANGE', of_lane('reasons', LANE), NUMBER, reason)
else
  return state
end
if redis.call('HGET', MEMBERS, USER) == LANE .. ':' .. INDEX then
  redis.call('HDEL', MEMBERS, USER)
end
if counts_as ~= '' then
  count(counts_as, 1)
end
return {'ended', reason}
