-- Freezes the numbers that are to be drawn: no fan can leave until the cut.
-- KEYS  see queue.lua
-- Reply nil if the queue is lost; {} if its numbers were drawn before or it does not draw; otherwise for each lane {number
--       of fans who joined, bitmap of the gone, bitmap of the unseen, bitmap of those who wait and need an accessible seat},
--       by join index
-- Cost  O(tail / 8)
local queue = read_queue('lanes', 'draws', 'drawn:0')
if not queue then
  return false
end
if queue[3] ~= '1' or queue[4] then
  return {}
end
local lanes = {}
for lane = 0, tonumber(queue[2]) - 1 do
  redis.call('HSETNX', QUEUE, 'frozen:' .. lane, redis.call('HGET', QUEUE, 'tail:' .. lane))
  local joined = redis.call('HGET', QUEUE, 'frozen:' .. lane)
  local last_byte = math.floor(joined / 8)
  lanes[#lanes + 1] = {
    joined,
    redis.call('GETRANGE', of_lane('gone', lane), 0, last_byte),
    redis.call('GETRANGE', of_lane('unseen', lane), 0, last_byte),
    redis.call('GETRANGE', of_lane('accessible', lane), 0, last_byte),
  }
end
return lanes
