-- Lets one instance at a time load the seats of a performance.
-- KEYS  1 loading
-- ARGV  1 now in ms, 2 until when the caller may load them, in ms
-- Reply 1 if the caller may load them, 0 if another instance is loading them
-- Cost  O(1)
local loading_until = tonumber(redis.call('GET', KEYS[1]) or '0')
if loading_until > tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', math.max(1, ARGV[2] - ARGV[1]))
return 1
