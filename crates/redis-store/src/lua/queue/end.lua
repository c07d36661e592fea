-- Ends a number, unless it has ended. Removes the user from the members, so that these are the fans who are in the queue.
-- KEYS and ARGV  see queue.lua and token.lua; 9 the byte of the reason, 10 the counter of the flow that it increments, or ''
-- Reply {name, detail} of the state afterwards, see token.lua
-- Cost  O(log max_active)
local reason, counts_as = ARGV[9], ARGV[10]

local state = state_to_change()
if state[1] == 'waiting' then
  end_waiting(LANE, NUMBER, head, reason)
elseif state[1] == 'called' then
  redis.call('ZREM', CALLED, LANE_NUMBER)
  redis.call('ZREM', INSIDE_ACCESSIBLE, LANE_NUMBER)
  redis.call('SETRANGE', of_lane('reasons', LANE), NUMBER, reason)
elseif state[1] == 'active' then
  redis.call('ZREM', ACTIVE, LANE_NUMBER)
  redis.call('ZREM', INSIDE_ACCESSIBLE, LANE_NUMBER)
  redis.call('HDEL', TRIES, LANE_NUMBER)
  redis.call('SETRANGE', of_lane('reasons', LANE), NUMBER, reason)
else
  return state
end
local member = redis.call('HGET', MEMBERS, USER)
if member and is_of_member(member, LANE, INDEX) then
  redis.call('HDEL', MEMBERS, USER)
end
if counts_as ~= '' then
  count(counts_as, 1)
end
return {'ended', reason}
