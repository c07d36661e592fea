-- Frees those of these seats that this owner holds.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines
-- ARGV  1 owner, 2… slots, at most 1,000
-- Reply the version, nil if nothing is loaded
-- Cost  O(slots)
local STATE, ABOUT, OWNERS, DEADLINES = unpack(KEYS)
local owner = ARGV[1]

local freed = {}
for i = 2, #ARGV do
  local held = redis.call('GETRANGE', STATE, ARGV[i], ARGV[i]) == 'h'
  if held and redis.call('HGET', OWNERS, ARGV[i]) == owner then
    redis.call('SETRANGE', STATE, ARGV[i], 'a')
    redis.call('HDEL', OWNERS, ARGV[i])
    redis.call('ZREM', DEADLINES, ARGV[i])
    freed[#freed + 1] = ARGV[i] .. 'a'
  end
end
if #freed == 0 then
  return redis.call('HGET', ABOUT, 'version')
end
redis.call('HINCRBY', ABOUT, 'free', #freed)
redis.call('HINCRBY', ABOUT, 'held', -#freed)
return publish(STATE, ABOUT, freed)
