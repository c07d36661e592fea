-- Raises the limit of a lane.
-- KEYS  see queue.lua
-- ARGV  1 epoch, 2 lane, 3 limit
-- Reply 1, or 0 if the queue is lost or has another epoch
-- Cost  O(1)
local queue = read_queue('epoch', 'limit:' .. ARGV[2])
if not queue or queue[2] ~= ARGV[1] then
  return 0
end
if queue[3] and tonumber(queue[3]) < tonumber(ARGV[3]) then
  redis.call('HSET', QUEUE, 'limit:' .. ARGV[2], ARGV[3])
end
return 1
