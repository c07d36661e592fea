-- Returns one of the hold attempts that an active number has spent.
-- KEYS and ARGV  see queue.lua and token.lua
-- Reply {'returned', ''}, or the refusals of token.lua
-- Cost  O(log max_active)
local state = state_to_change()
local is_refused = {lost = true, drawn = true, drawing = true, unseen = true}
if is_refused[state[1]] then
  return state
end
if state[1] == 'active' and tonumber(redis.call('HGET', TRIES, LANE_NUMBER) or 0) > 0 then
  redis.call('HINCRBY', TRIES, LANE_NUMBER, -1)
end
return {'returned', ''}
