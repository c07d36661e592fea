-- Takes one of the holds that an active place may try.
-- KEYS and ARGV  see queue.lua and place.lua; 9 how many it may
-- Reply {'spent', '1'}, {'spent', '0'} if there was none left or the place is not active, or as place.lua says
-- Cost  O(log maximum)
local state = state_to_change()
local is_refused = {lost = true, drawn = true, drawing = true, unseen = true}
if is_refused[state[1]] then
  return state
end
if state[1] ~= 'active' or tonumber(redis.call('HGET', TRIES, INSIDE) or 0) >= tonumber(ARGV[9]) then
  return {'spent', '0'}
end
redis.call('HINCRBY', TRIES, INSIDE, 1)
return {'spent', '1'}
