-- Makes a called number active; any other stays as it is.
-- KEYS  see token.lua
-- ARGV  1 epoch, 2 number, 3 now in ms, 4 active for ms
-- Reply {name, detail} of the state afterwards, see token.lua
-- Cost  O(log cap)
local number, now = ARGV[2], tonumber(ARGV[3])

local state = ticket_state(ARGV[1], number, now)
if state[1] ~= 'called' then
  return state
end
local active_until = string.format('%.0f', now + tonumber(ARGV[4]))
redis.call('ZREM', CALLED, number)
redis.call('ZADD', ACTIVE, active_until, number)
return number_state(number, tonumber(redis.call('HGET', LINE, 'head')), now)
