-- A copy of the queue.
-- KEYS  see queue.lua
-- Reply nil if the queue is lost, or {fields of the queue as name, value, …; for each lane {bytes of the gone bitmap from that of the
--       head to that of the tail, {late numbers}}; {lane:number, deadline in ms, …} called; the same active}
-- Cost  O(waiting / 8 + maximum): 125 KB for a million waiting
local queue = in_place('lanes')
if not queue then
  return false
end
local lanes = {}
for lane = 0, tonumber(queue[2]) - 1 do
  local its = redis.call('HMGET', QUEUE, 'head:' .. lane, 'tail:' .. lane)
  lanes[#lanes + 1] = {
    redis.call('GETRANGE', of_lane('gone', lane), math.floor(its[1] / 8), math.floor(its[2] / 8)),
    redis.call('ZRANGE', of_lane('late', lane), 0, -1),
  }
end
return {
  redis.call('HGETALL', QUEUE),
  lanes,
  redis.call('ZRANGE', CALLED, 0, -1, 'WITHSCORES'),
  redis.call('ZRANGE', ACTIVE, 0, -1, 'WITHSCORES'),
}
