-- A copy of the line.
-- KEYS  see line.lua
-- Reply nil if the line is lost, or {fields of the line as name, value, …; for each lane {bytes of the gone bitmap from that of the
--       head to that of the tail, {late numbers}}; {lane:number, deadline in ms, …} called; the same active}
-- Cost  O(waiting / 8 + cap): 125 KB for a million waiting
local line = in_place('lanes')
if not line then
  return false
end
local lanes = {}
for lane = 0, tonumber(line[2]) - 1 do
  local its = redis.call('HMGET', LINE, 'head:' .. lane, 'tail:' .. lane)
  lanes[#lanes + 1] = {
    redis.call('GETRANGE', of_lane('gone', lane), math.floor(its[1] / 8), math.floor(its[2] / 8)),
    redis.call('ZRANGE', of_lane('late', lane), 0, -1),
  }
end
return {
  redis.call('HGETALL', LINE),
  lanes,
  redis.call('ZRANGE', CALLED, 0, -1, 'WITHSCORES'),
  redis.call('ZRANGE', ACTIVE, 0, -1, 'WITHSCORES'),
}
