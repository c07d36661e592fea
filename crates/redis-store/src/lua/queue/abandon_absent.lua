-- Ends the waiting numbers that were not seen in any of these periods: gone = gone OR NOT (seen OR seen …). Only the bits
-- after the head and up to the tail count. Ends the unseen numbers if the queue was restored at least a whole grace ago.
-- KEYS  see queue.lua
-- ARGV  1 now in ms, 2 grace in ms, 3 first period, 4 last period
-- Reply nil if the queue is lost; otherwise {epoch, {for each lane {{bitmaps of numbers that were ended}, {numbers that were ended}}}}
-- Cost  O(tail / 8) bytes of bit operations, whatever the number of fans
local queue = read_queue('lanes', 'draws', 'restored_at', 'epoch')
if not queue then
  return false
end
local SCRATCH, RESULT, CHANGED = QUEUE .. ':scratch', QUEUE .. ':scratch:result', QUEUE .. ':scratch:changed'
-- Late numbers are called first, so few of them wait for long.
local LATE_PER_SWEEP = 1000

-- Combines a bitmap with SCRATCH. Adds the numbers that it changed to a list of bitmaps, and returns how many.
local function combine(operation, key, bitmaps)
  redis.call('BITOP', operation, RESULT, key, SCRATCH)
  redis.call('BITOP', 'XOR', CHANGED, key, RESULT)
  local changed = redis.call('BITCOUNT', CHANGED)
  if changed > 0 then
    bitmaps[#bitmaps + 1] = redis.call('GET', CHANGED)
    redis.call('RENAME', RESULT, key)
  end
  redis.call('DEL', RESULT, CHANGED)
  return changed
end

-- Returns how many numbers it ended, the bitmaps of them, and those that no bitmap has.
local function end_absent(lane, head, tail)
  local bitmaps, late = {}, {}
  local gone, last_byte, periods = of_lane('gone', lane), math.floor(tail / 8), {}
  for period = tonumber(ARGV[3]), tonumber(ARGV[4]) do
    periods[#periods + 1] = seen_in(lane, whole(period))
  end
  local ended = 0
  for _, number in ipairs(redis.call('ZRANGE', of_lane('late', lane), 0, LATE_PER_SWEEP - 1)) do
    local is_seen = false
    for _, seen in ipairs(periods) do
      is_seen = is_seen or redis.call('GETBIT', seen, number) == 1
    end
    if not is_seen then
      end_waiting(lane, number, head, 'a')
      ended = ended + 1
      late[#late + 1] = number
    end
  end
  redis.call('BITOP', 'OR', SCRATCH, unpack(periods))
  -- Who needs an accessible seat may wait before the head as well.
  local accessible = of_lane('accessible', lane)
  if redis.call('EXISTS', accessible) == 1 then
    ended = ended + combine('AND', accessible, bitmaps)
  end
  if head >= tail then
    redis.call('DEL', SCRATCH)
    return ended, bitmaps, late
  end
  -- NOT keeps the length of its operand, so the last byte of the string must be that of the tail.
  local length = redis.call('STRLEN', SCRATCH)
  if length <= last_byte then
    redis.call('SETRANGE', SCRATCH, last_byte, '\0')
  elseif length > last_byte + 1 then
    redis.call('SET', SCRATCH, redis.call('GETRANGE', SCRATCH, 0, last_byte))
  end
  -- Numbers up to the head do not wait.
  local called_bytes = math.floor((head + 1) / 8)
  redis.call('SETRANGE', SCRATCH, 0, string.rep('\255', called_bytes))
  for number = called_bytes * 8, head do
    redis.call('SETBIT', SCRATCH, number, 1)
  end
  -- The other numbers of the last byte are not issued yet, and must not be gone when they are.
  for number = tail + 1, last_byte * 8 + 7 do
    redis.call('SETBIT', SCRATCH, number, 1)
  end
  redis.call('BITOP', 'NOT', SCRATCH, SCRATCH)
  ended = ended + combine('OR', gone, bitmaps)
  redis.call('DEL', SCRATCH)
  return ended, bitmaps, late
end

local grace_is_over = tonumber(ARGV[1]) >= tonumber(queue[4]) + tonumber(ARGV[2])
local ended, by_lane = 0, {}
for lane = 0, tonumber(queue[2]) - 1 do
  local fields = redis.call('HMGET', QUEUE, 'head:' .. lane, 'tail:' .. lane, 'drawn:' .. lane)
  local head, tail = tonumber(fields[1]), tonumber(fields[2])
  by_lane[lane + 1] = {{}, {}}
  if queue[3] ~= '1' or fields[3] then
    local ended_in_lane, bitmaps, late = end_absent(lane, head, tail)
    ended, by_lane[lane + 1] = ended + ended_in_lane, {bitmaps, late}
    if grace_is_over then
      redis.call('HDEL', QUEUE, 'recovering')
      redis.call('UNLINK', of_lane('unseen', lane))
    end
  end
end
if ended > 0 then
  count('abandoned', ended)
end
return {tonumber(queue[5]), by_lane}
