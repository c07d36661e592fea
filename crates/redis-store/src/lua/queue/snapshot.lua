-- A snapshot of the queue.
-- KEYS  see queue.lua
-- Reply nil if the queue is lost; otherwise {fields of the queue as name, value, …; for each lane {bytes of the gone bitmap
--       from that of the head to that of the tail, {late numbers}}; {lane:number, deadline in ms, …} of the called; the
--       same of the active}
-- Cost  O(waiting / 8 + max_active): 125 KB for a million waiting
local queue = read_queue('lanes')
if not queue then
  return false
end
local lanes = {}
for lane = 0, tonumber(queue[2]) - 1 do
  local fields = redis.call('HMGET', QUEUE, 'head:' .. lane, 'tail:' .. lane)
  lanes[#lanes + 1] = {
    redis.call('GETRANGE', of_lane('gone', lane), math.floor(fields[1] / 8), math.floor(fields[2] / 8)),
    redis.call('ZRANGE', of_lane('late', lane), 0, -1),
  }
end
return {
  redis.call('HGETALL', QUEUE),
  lanes,
  redis.call('ZRANGE', CALLED, 0, -1, 'WITHSCORES'),
  redis.call('ZRANGE', ACTIVE, 0, -1, 'WITHSCORES'),
}
