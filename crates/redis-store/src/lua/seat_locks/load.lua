-- Loads the seats of a performance, unless they are loaded.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines, 5 staged owners, 6 staged deadlines, 7 loading
-- ARGV  1 state string with the locks applied, 2 number of free seats, 3 number of held seats, all of them staged,
--       4 version
-- Reply 1 if they were loaded now, 0 if they were loaded before, -1 if some of the staged keys have expired
-- Cost  one string of at most 100 KB; everything else is O(1)
local STATE, ABOUT, OWNERS, DEADLINES, STAGED_OWNERS, STAGED_DEADLINES, LOADING = unpack(KEYS)
local held = tonumber(ARGV[3])

redis.call('UNLINK', LOADING)
if redis.call('EXISTS', STATE) == 1 then
  redis.call('UNLINK', STAGED_OWNERS, STAGED_DEADLINES)
  return 0
end
if redis.call('HLEN', STAGED_OWNERS) ~= held or redis.call('ZCARD', STAGED_DEADLINES) ~= held then
  return -1
end
redis.call('UNLINK', OWNERS, DEADLINES)
if held > 0 then
  redis.call('RENAME', STAGED_OWNERS, OWNERS)
  redis.call('RENAME', STAGED_DEADLINES, DEADLINES)
  redis.call('PERSIST', OWNERS)
  redis.call('PERSIST', DEADLINES)
end
redis.call('HSET', ABOUT, 'version', ARGV[4], 'free', ARGV[2], 'held', held)
redis.call('SET', STATE, ARGV[1])
redis.call('PUBLISH', STATE .. ':changes', ARGV[4] .. ' *')
return 1
