-- Freezes the numbers that are to be drawn: no fan can leave until the cut, and who joins takes no part.
-- KEYS  see queue.lua
-- ARGV  for each lane the number of fans who take part
-- Reply nil if the queue is lost; {} if its numbers were drawn before or it does not draw; otherwise for each lane {bitmap of
--       the gone, bitmap of the unseen, bitmap of those who wait and need an accessible seat}, by join index
-- Cost  O(tail / 8)
local queue = read_queue('lanes', 'draws', 'drawn:0')
if not queue then
  return false
end
if queue[3] ~= '1' or queue[4] then
  return {}
end
redis.call('HSET', QUEUE, 'collects', 0)
local lanes = {}
for lane = 0, tonumber(queue[2]) - 1 do
  local joined = ARGV[lane + 1] or '0'
  local tail = redis.call('HGET', QUEUE, 'tail:' .. lane)
  redis.call('HSET', QUEUE, 'frozen:' .. lane, joined)
  if tonumber(tail) < tonumber(joined) then
    redis.call('HSET', QUEUE, 'tail:' .. lane, joined)
  end
  local last_byte = math.floor(joined / 8)
  lanes[#lanes + 1] = {
    redis.call('GETRANGE', of_lane('gone', lane), 0, last_byte),
    redis.call('GETRANGE', of_lane('unseen', lane), 0, last_byte),
    redis.call('GETRANGE', of_lane('accessible', lane), 0, last_byte),
  }
end
return lanes
