-- Ends what is due, then calls the next numbers, as many as rate, batch and cap allow.
-- KEYS  see token.lua
-- ARGV  1 now in ms, 2 admissions per period, 3 period in ms, 4 batch, 5 cap, 6 '1' if paused, 7 claim window in ms,
--       8 how many are called at most in this run, up to 1,000
-- Reply how many were called
-- Cost  O(1,000 log cap) at most, plus one pass over runs of gone numbers
local now, admissions, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local batch, cap = tonumber(ARGV[4]), tonumber(ARGV[5])
local paused, claim_window, run_limit = ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8])
local DUE_PER_RUN = 1000

local line = redis.call('HMGET', LINE, 'head', 'tail', 'level', 'at_ms', 'period_ms')
if not line[1] then
  return 0
end
local head, tail = tonumber(line[1]), tonumber(line[2])

local function end_due(inside, reason)
  local due = redis.call('ZRANGEBYSCORE', inside, '-inf', ARGV[1], 'LIMIT', 0, DUE_PER_RUN)
  for _, number in ipairs(due) do
    redis.call('SETRANGE', REASONS, number, reason)
  end
  if #due > 0 then
    redis.call('ZREM', inside, unpack(due))
  end
end
end_due(CALLED, 'a')
end_due(ACTIVE, 'x')

-- encore_domain::queue::TokenBucket, in the same integers.
local capacity = batch * period
local level, at_ms = capacity, now
if line[3] then
  at_ms = math.max(now, tonumber(line[4]))
  local counted_in = tonumber(line[5])
  level = math.floor(line[3] / counted_in) * period + math.floor(line[3] % counted_in * period / counted_in)
  level = math.min(level + (at_ms - tonumber(line[4])) * admissions, capacity)
end

-- Those due beyond this run's limit are over as well, and take no place.
local function count_inside(inside)
  return redis.call('ZCOUNT', inside, '(' .. ARGV[1], '+inf')
end
local wanted = 0
if not paused then
  local room = cap - count_inside(CALLED) - count_inside(ACTIVE)
  wanted = math.min(math.floor(level / period), room, run_limit)
end

-- The first number from this one on that is not gone; it may lie past the tail.
local function first_present(number)
  local found = redis.call('BITPOS', GONE, 0, number, -1, 'BIT')
  if found < number then
    found = math.max(number, redis.call('STRLEN', GONE) * 8)
  end
  return found
end

-- The last of the numbers from this one on that are all there, as far as the tail.
local function last_present(number)
  local gone = redis.call('BITPOS', GONE, 1, number, -1, 'BIT')
  if gone < 0 then
    return tail
  end
  return math.min(gone - 1, tail)
end

local claim_by = string.format('%.0f', now + claim_window)
local called = {}
while #called < 2 * wanted and head < tail do
  local first = first_present(head + 1)
  if first > tail then
    head = tail
    break
  end
  local last = math.min(last_present(first), first + wanted - #called / 2 - 1)
  for number = first, last do
    called[#called + 1] = claim_by
    called[#called + 1] = string.format('%.0f', number)
  end
  head = last
end
if #called > 0 then
  redis.call('ZADD', CALLED, unpack(called))
  level = level - #called / 2 * period
end
for field, value in pairs({head = head, level = level, at_ms = at_ms, period_ms = period}) do
  redis.call('HSET', LINE, field, string.format('%.0f', value))
end
return #called / 2
