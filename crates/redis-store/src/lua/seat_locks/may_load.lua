-- Lets one load the seats of a performance at a time.
-- KEYS  1 loading
-- ARGV  1 now in ms, 2 until when the caller may in ms
-- Reply 1 if the caller may, 0 if somebody else is at it
-- Cost  O(1)
local loading_until = tonumber(redis.call('GET', KEYS[1]) or '0')
if loading_until > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', math.max(1, ARGV[2] - ARGV[1]))
return 1
