-- Loads the seats of a performance, unless they are loaded.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines, 5 fans, 6 staged owners, 7 staged deadlines, 8 staged fans, 9 loading
-- ARGV  1 state string with the locks applied, 2 number of free seats, 3 number of held seats, 4 version, 5 number of staged owners,
--       6 number of staged fans. The deadlines of all held seats are staged
-- Reply 1 if they were loaded now, 0 if they were loaded before, -1 if some of the staged keys have expired
-- Cost  one string of at most 100 KB; everything else is O(1)
local STATE, ABOUT, OWNERS, DEADLINES, FANS, STAGED_OWNERS, STAGED_DEADLINES, STAGED_FANS, LOADING = unpack(KEYS)
local held, owned, fans = tonumber(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[6])

redis.call('UNLINK', LOADING)
if redis.call('EXISTS', STATE) == 1 then
  redis.call('UNLINK', STAGED_OWNERS, STAGED_DEADLINES, STAGED_FANS)
  return 0
end
local all_staged = redis.call('HLEN', STAGED_OWNERS) == owned and redis.call('ZCARD', STAGED_DEADLINES) == held
  and redis.call('HLEN', STAGED_FANS) == fans
if not all_staged then
  return -1
end
redis.call('UNLINK', OWNERS, DEADLINES, FANS)
local function unstage(staged, key, count)
  if count > 0 then
    redis.call('RENAME', staged, key)
    redis.call('PERSIST', key)
  end
end
unstage(STAGED_OWNERS, OWNERS, owned)
unstage(STAGED_DEADLINES, DEADLINES, held)
unstage(STAGED_FANS, FANS, fans)
redis.call('HSET', ABOUT, 'version', ARGV[4], 'free', ARGV[2], 'held', held)
redis.call('SET', STATE, ARGV[1])
redis.call('PUBLISH', STATE .. ':changes', ARGV[4] .. ' *')
return 1
