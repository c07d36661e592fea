-- Lets nobody leave a line whose numbers are to be drawn.
-- KEYS  see line.lua
-- Reply nil if the line is lost; {} if its numbers were drawn, or never will be; or for each lane {how many joined, bitmap of the
--       gone, of the unseen}, each by join index
-- Cost  O(tail / 8)
local line = in_place('lanes', 'draws', 'drawn:0')
if not line then
  return false
end
if line[3] ~= '1' or line[4] then
  return {}
end
local lanes = {}
for lane = 0, tonumber(line[2]) - 1 do
  redis.call('HSETNX', LINE, 'frozen:' .. lane, redis.call('HGET', LINE, 'tail:' .. lane))
  local joined = redis.call('HGET', LINE, 'frozen:' .. lane)
  local last_byte = math.floor(joined / 8)
  lanes[#lanes + 1] = {
    joined,
    redis.call('GETRANGE', of_lane('gone', lane), 0, last_byte),
    redis.call('GETRANGE', of_lane('unseen', lane), 0, last_byte),
  }
end
return lanes
