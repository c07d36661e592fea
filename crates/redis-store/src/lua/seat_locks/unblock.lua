-- Frees those of these seats that are blocked.
-- KEYS  1 state, 2 about
-- ARGV  slots, at most 1,000
-- Reply the version, nil if nothing is loaded
-- Cost  O(slots)
local STATE, ABOUT = unpack(KEYS)

local freed = {}
for i = 1, #ARGV do
  if redis.call('GETRANGE', STATE, ARGV[i], ARGV[i]) == 'b' then
    redis.call('SETRANGE', STATE, ARGV[i], 'a')
    freed[#freed + 1] = ARGV[i] .. 'a'
  end
end
if #freed == 0 then
  return redis.call('HGET', ABOUT, 'version')
end
redis.call('HINCRBY', ABOUT, 'free', #freed)
return publish(STATE, ABOUT, freed)
