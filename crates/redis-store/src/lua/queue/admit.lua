-- Ends the numbers whose deadline has passed. Then calls the next numbers, as many as the rate, the batch, max_active and
-- the stock allow, from the lanes by their weights.
-- KEYS  see queue.lua
-- ARGV  1 now in ms, 2 admissions per period, 3 period in ms, 4 batch, 5 max_active, 6 '1' if numbers are to be called, 7
--       accept window in ms, 8 the most numbers that this run calls, up to 1,000, 9 free and 10 held seats for everybody,
--       11 free and 12 held seats for those who need an accessible one, each '' if not known, 13… the weights of the lanes
-- Reply the number of numbers that were called, or -1 if the queue is lost
-- Cost  O(1,000 (lanes + log max_active)) at most, plus one pass over runs of gone numbers
local now, admissions, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local batch, max_active = tonumber(ARGV[4]), tonumber(ARGV[5])
local calling, accept_window, run_limit = ARGV[6] == '1', tonumber(ARGV[7]), tonumber(ARGV[8])
local stock = {
  general = {free = tonumber(ARGV[9]), held = tonumber(ARGV[10])},
  accessible = {free = tonumber(ARGV[11]), held = tonumber(ARGV[12])},
}
local DUE_PER_RUN, STRIDE, BUCKET_SLACK_MS = 1000, 1000000, 1000
-- See encore_domain::queue::Pace.
local SAMPLE_EVERY_MS, SAMPLES_MAX = 5000, 13

local queue = read_queue('lanes', 'draws', 'level', 'at_ms', 'period_ms', 'turn', 'quiet_until', 'reserved', 'reserved_until',
  'sampled_at')
if not queue then
  return -1
end

local function end_with(lane_number, reason)
  local lane, number = string.match(lane_number, '^(%d+):(%d+)$')
  redis.call('SETRANGE', of_lane('reasons', lane), number, reason)
end

-- A missed call needs no reason: see number_state. One that was called out of turn does, because its number may be after the head.
local function end_due(deadlines, reason, counts_as)
  local due = redis.call('ZRANGEBYSCORE', deadlines, '-inf', ARGV[1], 'LIMIT', 0, DUE_PER_RUN)
  for _, lane_number in ipairs(due) do
    local was_out_of_turn = redis.call('ZREM', INSIDE_ACCESSIBLE, lane_number) == 1
    if reason or was_out_of_turn then
      end_with(lane_number, reason or 'a')
    end
  end
  if #due > 0 then
    redis.call('ZREM', deadlines, unpack(due))
    redis.call('HDEL', TRIES, unpack(due))
    count(counts_as, #due)
  end
end
end_due(CALLED, nil, 'no_shows')
end_due(ACTIVE, 'x', 'expired')

-- encore_domain::queue::TokenBucket, with the same integer arithmetic.
local level, at_ms = batch * period, now
if queue[4] then
  at_ms = math.max(now, tonumber(queue[5]))
  local old_period = tonumber(queue[6])
  level = math.floor(queue[4] / old_period) * period + math.floor(queue[4] % old_period * period / old_period)
  local capacity = batch * period + admissions * BUCKET_SLACK_MS
  level = math.min(level + (at_ms - tonumber(queue[5])) * admissions, capacity)
end

-- Deadlines that have passed do not count, even if this run did not reach them.
local function count_live(deadlines)
  return redis.call('ZCOUNT', deadlines, '(' .. ARGV[1], '+inf')
end
local called_or_active = count_live(CALLED) + count_live(ACTIVE)
local calls, wanted = calling and now >= tonumber(queue[8]), 0
local limits = {general = math.huge, accessible = math.huge}
if calls then
  local available = max_active - called_or_active
  if now < tonumber(queue[10]) then
    available = available - tonumber(queue[9])
  end
  -- encore_domain::queue::limit_by_stock, for each kind of seat.
  local inside = {accessible = count_live(INSIDE_ACCESSIBLE)}
  inside.general = called_or_active - inside.accessible
  for kind, seats in pairs(stock) do
    if seats.free then
      limits[kind] = math.min(seats.free, seats.free + seats.held - inside[kind])
    end
  end
  wanted = math.max(math.min(math.floor(level / period), available, run_limit), 0)
end

-- The first number that is not gone, from this one on. It may be past the tail.
local function first_present(gone, number)
  local found = redis.call('BITPOS', gone, 0, number, -1, 'BIT')
  if found < number then
    found = math.max(number, redis.call('STRLEN', gone) * 8)
  end
  return found
end

-- The last number of the run that begins with this one and has no gone number, at most the tail.
local function last_present(gone, number, tail)
  local found = redis.call('BITPOS', gone, 1, number, -1, 'BIT')
  if found < 0 then
    return tail
  end
  return math.min(found - 1, tail)
end

local lanes = {}
for index = 0, tonumber(queue[2]) - 1 do
  local fields = redis.call('HMGET', QUEUE, 'head:' .. index, 'tail:' .. index, 'pass:' .. index, 'drawn:' .. index)
  if wanted > 0 and (queue[3] ~= '1' or fields[4]) then
    lanes[#lanes + 1] = {
      index = index,
      head = tonumber(fields[1]),
      searched = tonumber(fields[1]),
      tail = tonumber(fields[2]),
      pass = tonumber(fields[3]),
      gone = of_lane('gone', index),
      accessible = of_lane('accessible', index),
      passed_over = 0,
      stride = math.floor(STRIDE / math.max(tonumber(ARGV[13 + index] or 1), 1)),
      late = redis.call('ZRANGE', of_lane('late', index), 0, wanted - 1),
      late_called = 0,
      run_end = 0,
      called = 0,
    }
  end
end

-- The next number of a lane that needs no accessible seat, and whether it is late; nil if there is none. Numbers up to
-- `searched` are called or gone.
local function next_general(lane)
  local late = lane.late[lane.late_called + 1]
  if late then
    return tonumber(late), 'late'
  end
  if lane.searched >= lane.tail then
    return nil
  end
  if lane.searched >= lane.run_end then
    local first = first_present(lane.gone, lane.searched + 1)
    if first > lane.tail then
      lane.searched = lane.tail
      return nil
    end
    lane.searched = first - 1
    lane.run_end = last_present(lane.gone, first, lane.tail)
  end
  return lane.searched + 1, 'general'
end

-- The next number of a lane that needs an accessible seat; nil if there is none. Those before `passed_over` are called.
local function next_accessible(lane)
  if not lane.passed_over then
    return nil
  end
  local found = redis.call('BITPOS', lane.accessible, 1, lane.passed_over, -1, 'BIT')
  lane.passed_over = found >= 0 and found or nil
  return lane.passed_over
end

-- The next number of a lane whose fan may buy a seat that is left, and its kind.
local function next_of(lane)
  local number, kind
  if limits.general > 0 then
    number, kind = next_general(lane)
  end
  local accessible = limits.accessible > 0 and next_accessible(lane)
  if accessible and (not number or accessible < number) then
    return accessible, 'accessible'
  end
  return number, kind
end

-- encore_domain::queue::LaneTurns.
local turn = tonumber(queue[7])
local accept_by, called = whole(now + accept_window), {}
while #called < 2 * wanted do
  local best, best_pass, number, kind
  for _, lane in ipairs(lanes) do
    local pass = math.max(lane.pass, turn)
    if not best or pass < best_pass then
      local next_number, next_kind = next_of(lane)
      if next_number then
        best, best_pass, number, kind = lane, pass, next_number, next_kind
      end
    end
  end
  if not best then
    break
  end
  turn = best_pass
  best.pass = best_pass + best.stride
  best.called = best.called + 1
  local lane_number = best.index .. ':' .. whole(number)
  if kind == 'accessible' then
    redis.call('SETBIT', best.accessible, number, 0)
    redis.call('ZADD', INSIDE_ACCESSIBLE, accept_by, lane_number)
    limits.accessible = limits.accessible - 1
  else
    if kind == 'late' then
      best.late_called = best.late_called + 1
    else
      best.head, best.searched = number, number
    end
    limits.general = limits.general - 1
  end
  called[#called + 1] = accept_by
  called[#called + 1] = lane_number
end
local called_now = #called / 2

for _, lane in ipairs(lanes) do
  redis.call('HSET', QUEUE, 'head:' .. lane.index, whole(lane.head), 'pass:' .. lane.index, whole(lane.pass))
  if lane.called > 0 then
    redis.call('HINCRBY', QUEUE, 'called:' .. lane.index, lane.called)
  end
  if lane.late_called > 0 then
    redis.call('ZREMRANGEBYRANK', of_lane('late', lane.index), 0, lane.late_called - 1)
  end
end
if called_now > 0 then
  redis.call('ZADD', CALLED, unpack(called))
  level = level - called_now * period
end
redis.call('HSET', QUEUE, 'level', whole(level), 'at_ms', whole(at_ms), 'period_ms', whole(period), 'turn', whole(turn))

-- encore_domain::queue::Pace.
if not calls or called_now < wanted then
  redis.call('HSET', QUEUE, 'idle_at', ARGV[1])
end
if not queue[11] or now >= tonumber(queue[11]) + SAMPLE_EVERY_MS then
  local sample = {ARGV[1], whole(called_or_active + called_now)}
  for index = 0, tonumber(queue[2]) - 1 do
    sample[#sample + 1] = redis.call('HGET', QUEUE, 'called:' .. index)
  end
  redis.call('RPUSH', PACE, table.concat(sample, ':'))
  redis.call('LTRIM', PACE, -SAMPLES_MAX, -1)
  redis.call('HSET', QUEUE, 'sampled_at', ARGV[1])
end
return called_now
