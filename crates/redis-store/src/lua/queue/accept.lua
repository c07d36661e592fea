-- Makes a called place active; any other stays as it is.
-- KEYS and ARGV  see queue.lua and place.lua; 9 active for ms
-- Reply {name, detail} of the state afterwards, see place.lua
-- Cost  O(log maximum)
local state = state_to_change()
if state[1] ~= 'called' then
  return state
end
local active_until = whole(NOW + tonumber(ARGV[9]))
redis.call('ZREM', CALLED, INSIDE)
redis.call('ZADD', ACTIVE, active_until, INSIDE)
count('accepted', 1)
return number_state(LANE, NUMBER, head, NOW)
