-- Records that numbers were seen in a period.
-- KEYS  see queue.lua
-- ARGV  1 '1' if the numbers are those after the draw, 2 presence period, 3 how long to keep its bitmap in ms; for each
--       lane 4… lane, index of the first byte, bytes of a bitmap
-- Reply 1, or 0 if the queue is lost
-- Cost  O(tail / 8) bytes of bit operations
local queue = read_queue('draws')
if not queue then
  return 0
end
local SCRATCH = QUEUE .. ':scratch'
for at = 4, #ARGV, 3 do
  local lane, first_byte = ARGV[at], tonumber(ARGV[at + 1])
  local fields = redis.call('HMGET', QUEUE, 'tail:' .. lane, 'drawn:' .. lane)
  local is_drawn = fields[2] and '1' or '0'
  if fields[1] and (queue[2] ~= '1' or is_drawn == ARGV[1]) then
    -- Numbers past the tail come from queue tokens of an earlier epoch. They are cut off, so that the bitmap ends at the tail.
    local bytes = string.sub(ARGV[at + 2], 1, math.max(math.floor(fields[1] / 8) + 1 - first_byte, 0))
    if bytes ~= '' then
      local seen = seen_in(lane, ARGV[2])
      redis.call('SETRANGE', SCRATCH, first_byte, bytes)
      redis.call('BITOP', 'OR', seen, seen, SCRATCH)
      redis.call('DEL', SCRATCH)
      redis.call('PEXPIRE', seen, ARGV[3])
    end
  end
end
return 1
