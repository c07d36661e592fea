-- Makes a called number active. A number in any other state is left as it is.
-- KEYS and ARGV  see queue.lua and token.lua; 9 the active duration in ms
-- Reply {name, detail} of the state afterwards, see token.lua
-- Cost  O(log max_active)
local state = state_to_change()
if state[1] ~= 'called' then
  return state
end
local active_until = whole(NOW + tonumber(ARGV[9]))
redis.call('ZREM', CALLED, LANE_NUMBER)
redis.call('ZADD', ACTIVE, active_until, LANE_NUMBER)
redis.call('ZADD', INSIDE_ACCESSIBLE, 'XX', active_until, LANE_NUMBER)
count('accepted', 1)
return number_state(LANE, NUMBER, head, NOW)
