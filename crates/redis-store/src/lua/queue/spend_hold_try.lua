-- Counts one of the hold attempts that an active number has.
-- KEYS and ARGV  see queue.lua and token.lua; 9 the limit
-- Reply {'spent', '1'}; {'spent', '0'} if no attempt was left or the number is not active; or the refusals of token.lua
-- Cost  O(log max_active)
local state = state_to_change()
local is_refused = {lost = true, drawn = true, drawing = true, unseen = true}
if is_refused[state[1]] then
  return state
end
if state[1] ~= 'active' or tonumber(redis.call('HGET', TRIES, LANE_NUMBER) or 0) >= tonumber(ARGV[9]) then
  return {'spent', '0'}
end
redis.call('HINCRBY', TRIES, LANE_NUMBER, 1)
return {'spent', '1'}
