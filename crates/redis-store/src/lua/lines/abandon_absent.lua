-- Ends the waiting numbers that were not seen in any of these periods: gone = gone OR NOT (seen OR seen …), of which
-- only the bits after the head and up to the tail count.
-- KEYS  1 line, 2 gone, 3 scratch, 4… bitmaps of those seen
-- Reply how many were ended
-- Cost  O(tail / 8) bytes of bit operations, whatever the number of fans
local LINE, GONE, SCRATCH = unpack(KEYS, 1, 3)

local line = redis.call('HMGET', LINE, 'head', 'tail')
if not line[1] or line[1] == line[2] then
  return 0
end
local head, tail = tonumber(line[1]), tonumber(line[2])
local last_byte = math.floor(tail / 8)

redis.call('BITOP', 'OR', SCRATCH, unpack(KEYS, 4))
-- NOT keeps the length of its operand, so the string must end with the byte of the tail, no sooner and no later.
local length = redis.call('STRLEN', SCRATCH)
if length <= last_byte then
  redis.call('SETRANGE', SCRATCH, last_byte, '\0')
elseif length > last_byte + 1 then
  redis.call('SET', SCRATCH, redis.call('GETRANGE', SCRATCH, 0, last_byte))
end
-- The numbers of that byte past the tail are yet to be given out, and must not be gone when they are.
for number = tail + 1, last_byte * 8 + 7 do
  redis.call('SETBIT', SCRATCH, number, 1)
end
redis.call('BITOP', 'NOT', SCRATCH, SCRATCH)

local before = redis.call('BITCOUNT', GONE, head + 1, tail, 'BIT')
redis.call('BITOP', 'OR', GONE, GONE, SCRATCH)
redis.call('DEL', SCRATCH)
return redis.call('BITCOUNT', GONE, head + 1, tail, 'BIT') - before
