-- Says that some numbers were seen in a period.
-- KEYS  1 line, 2 the bitmap of the period, 3 scratch
-- ARGV  1 index of the first byte, 2 bytes of a bitmap, 3 ms to keep the bitmap
-- Reply nothing
-- Cost  O(tail / 8) bytes of bit operations
local LINE, SEEN, SCRATCH = unpack(KEYS)

-- Numbers past the tail come from tickets of a line that was made anew; the bitmap never grows beyond the tail.
local tail = redis.call('HGET', LINE, 'tail')
if not tail then
  return
end
local bytes = string.sub(ARGV[2], 1, math.max(math.floor(tail / 8) + 1 - ARGV[1], 0))
if bytes == '' then
  return
end
redis.call('SETRANGE', SCRATCH, ARGV[1], bytes)
redis.call('BITOP', 'OR', SEEN, SEEN, SCRATCH)
redis.call('DEL', SCRATCH)
redis.call('PEXPIRE', SEEN, ARGV[3])
