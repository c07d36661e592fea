-- Raises the limit of a lane.
-- KEYS  see line.lua
-- ARGV  1 epoch, 2 lane, 3 limit
-- Reply 1, or 0 if the line is lost or another run of it is in place
-- Cost  O(1)
local line = in_place('epoch', 'limit:' .. ARGV[2])
if not line or line[2] ~= ARGV[1] then
  return 0
end
if line[3] and tonumber(line[3]) < tonumber(ARGV[3]) then
  redis.call('HSET', LINE, 'limit:' .. ARGV[2], ARGV[3])
end
return 1
