-- A copy of the line.
-- KEYS  1 line, 2 gone, 3 called, 4 active
-- Reply nil if nobody has joined, or {epoch, head, tail, bytes of the gone bitmap from that of the head to that of the
--       tail, {number, deadline in ms, …} called, the same active}
-- Cost  O(waiting / 8 + cap): 125 KB for a million waiting
local LINE, GONE, CALLED, ACTIVE = unpack(KEYS)

local line = redis.call('HMGET', LINE, 'epoch', 'head', 'tail')
if not line[1] then
  return false
end
local gone = redis.call('GETRANGE', GONE, math.floor(line[2] / 8), math.floor(line[3] / 8))
return {
  line[1], line[2], line[3], gone,
  redis.call('ZRANGE', CALLED, 0, -1, 'WITHSCORES'),
  redis.call('ZRANGE', ACTIVE, 0, -1, 'WITHSCORES'),
}
