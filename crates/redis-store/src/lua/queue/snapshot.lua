-- A snapshot of the queue.
-- KEYS  see queue.lua
-- Reply nil if the queue is lost; otherwise {fields of the queue as name, value, …; for each lane {bytes of the gone bitmap
--       from that of the head to that of the tail, {late numbers}, index of the first byte and bytes of the bitmap of those
--       who wait and need an accessible seat}; {lane:number, deadline in ms, …} of the called; the same of the active;
--       {lane:number, …} of those inside who need an accessible seat; {samples of the pace}}
-- Cost  O(waiting / 8 + max_active): 125 KB for a million waiting
local queue = read_queue('lanes')
if not queue then
  return false
end
local lanes = {}
for lane = 0, tonumber(queue[2]) - 1 do
  local fields = redis.call('HMGET', QUEUE, 'head:' .. lane, 'tail:' .. lane)
  local first = redis.call('BITPOS', of_lane('accessible', lane), 1)
  local first_byte = math.floor(math.max(first, 0) / 8)
  lanes[#lanes + 1] = {
    redis.call('GETRANGE', of_lane('gone', lane), math.floor(fields[1] / 8), math.floor(fields[2] / 8)),
    redis.call('ZRANGE', of_lane('late', lane), 0, -1),
    first_byte,
    first < 0 and '' or redis.call('GETRANGE', of_lane('accessible', lane), first_byte, math.floor(fields[2] / 8)),
  }
end
return {
  redis.call('HGETALL', QUEUE),
  lanes,
  redis.call('ZRANGE', CALLED, 0, -1, 'WITHSCORES'),
  redis.call('ZRANGE', ACTIVE, 0, -1, 'WITHSCORES'),
  redis.call('ZRANGE', INSIDE_ACCESSIBLE, 0, -1),
  redis.call('LRANGE', PACE, 0, -1),
}
