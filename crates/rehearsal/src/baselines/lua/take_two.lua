-- Takes two keys, both or none.
-- KEYS  1 and 2, of one hash tag
-- ARGV  1 owner, 2 time to live in ms
-- Reply 1 taken, 0 one of them is taken already
-- Cost  O(1)
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
