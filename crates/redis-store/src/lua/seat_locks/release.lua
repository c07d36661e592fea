-- Frees those of these seats that this reservation holds.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines, 5 fans
-- ARGV  1 reservation, 2… slots, at most 1,000
-- Reply the version, nil if nothing is loaded
-- Cost  O(slots)
local STATE, ABOUT, OWNERS, DEADLINES, FANS = unpack(KEYS)

local freed, owner = {}, nil
for i = 2, #ARGV do
  local held = redis.call('GETRANGE', STATE, ARGV[i], ARGV[i]) == 'h'
  local holder = held and redis.call('HGET', OWNERS, ARGV[i])
  if holder and reservation_of(holder) == ARGV[1] then
    owner = holder
    redis.call('SETRANGE', STATE, ARGV[i], 'a')
    redis.call('HDEL', OWNERS, ARGV[i])
    redis.call('ZREM', DEADLINES, ARGV[i])
    freed[#freed + 1] = ARGV[i] .. 'a'
  end
end
if #freed == 0 then
  return redis.call('HGET', ABOUT, 'version')
end
add_to_fan(FANS, read_fan(FANS, owner), owner, -#freed, 0)
redis.call('HINCRBY', ABOUT, 'free', #freed)
redis.call('HINCRBY', ABOUT, 'held', -#freed)
return publish(STATE, ABOUT, freed)
