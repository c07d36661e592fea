-- Gives a user a number, or the one they have; either way they have been seen.
-- KEYS  see token.lua, 7 the bitmap of those seen in this period
-- ARGV  1 user, 2 now in ms, 3 epoch of the line if it is made now, 4 ms to keep the bitmap
-- Reply {epoch, number}
-- Cost  O(log cap); making a line unlinks what an earlier one left
local SEEN = KEYS[7]
local user, now = ARGV[1], tonumber(ARGV[2])

local line = redis.call('HMGET', LINE, 'epoch', 'head')
local epoch, head = line[1], tonumber(line[2] or 0)
if not epoch then
  epoch = ARGV[3]
  redis.call('UNLINK', GONE, REASONS, MEMBERS, CALLED, ACTIVE)
  redis.call('HSET', LINE, 'epoch', epoch, 'head', 0, 'tail', 0)
end

local number = redis.call('HGET', MEMBERS, user)
if not number or number_state(number, head, now)[1] == 'ended' then
  number = redis.call('HINCRBY', LINE, 'tail', 1)
  redis.call('HSET', MEMBERS, user, number)
end
redis.call('SETBIT', SEEN, number, 1)
redis.call('PEXPIRE', SEEN, ARGV[4])
return {epoch, number}
