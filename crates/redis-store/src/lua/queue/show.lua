-- Shows places of a queue that was restored: unseen ones are there again.
-- KEYS  see queue.lua
-- ARGV  1 now in ms, 2 presence period, 3 ms to keep its bitmap; for each place 4… epoch, user, lane, index, number, of how many drawn,
--       until when in ms it was admitted or ''
-- Reply {'ok'}, {'lost'}; {'drawn', of how many} or {'drawing'} if that kept one of them from being shown
-- Cost  O(log maximum) for each place, and once the numbers that were called after what the queue was put in place from was kept
local now, period, ttl_ms = tonumber(ARGV[1]), ARGV[2], ARGV[3]

local queue = in_place('epoch', 'reserved', 'reserved_until')
if not queue then
  return {'lost', ''}
end
local epoch, reserved = queue[2], tonumber(queue[3])
if now >= tonumber(queue[4]) then
  reserved = 0
end
local lanes, kept_from = {}, {'ok', ''}

local function lane_fields(lane)
  if not lanes[lane] then
    local its = redis.call('HMGET', QUEUE, 'head:' .. lane, 'tail:' .. lane, 'drawn:' .. lane, 'frozen:' .. lane)
    lanes[lane] = {head = tonumber(its[1]), tail = tonumber(its[2]), drawn = its[3], frozen = tonumber(its[4] or 0)}
  end
  return lanes[lane]
end

-- Whoever was admitted was called, and so was everybody before: those who are there and still wait are called first.
local function raise_head(lane, its, number)
  for before = its.head + 1, number - 1 do
    if redis.call('GETBIT', of_lane('gone', lane), before) == 0 then
      redis.call('ZADD', of_lane('late', lane), before, whole(before))
    end
  end
  its.head = number
  redis.call('HSET', QUEUE, 'head:' .. lane, whole(number))
end

-- Whether another place of this user keeps this one from being taken up: the earlier one stays, unless the later one was admitted.
local function gives_way(user, lane, index, is_admitted)
  local other = redis.call('HGET', MEMBERS, user)
  if not other or other == lane .. ':' .. index then
    return false
  end
  local of, other_index = string.match(other, '^(%d+):(%d+)$')
  local its = lane_fields(of)
  if its.drawn and tonumber(other_index) <= tonumber(its.drawn) then
    return true
  end
  local state = number_state(of, other_index, its.head, now)
  if state[1] == 'ended' then
    return false
  end
  local is_earlier = of == lane and tonumber(other_index) < tonumber(index)
  if state[1] ~= 'waiting' or (is_earlier and not is_admitted) then
    return true
  end
  end_waiting(of, other_index, its.head, 'm')
  count('left', 1)
  return false
end

local function take_up(user, lane, its, index, number, admitted_until)
  redis.call('SETBIT', of_lane('unseen', lane), number, 0)
  if admitted_until and admitted_until <= now then
    redis.call('SETRANGE', of_lane('reasons', lane), number, 'x')
    return
  end
  if gives_way(user, lane, index, admitted_until) then
    redis.call('SETRANGE', of_lane('reasons', lane), number, 'm')
    return
  end
  redis.call('HSET', MEMBERS, user, lane .. ':' .. index)
  if not admitted_until then
    if tonumber(number) > its.head then
      redis.call('SETBIT', of_lane('gone', lane), number, 0)
    else
      redis.call('ZADD', of_lane('late', lane), number, number)
    end
    return
  end
  if tonumber(number) > its.head then
    raise_head(lane, its, tonumber(number))
  end
  redis.call('ZREM', of_lane('late', lane), number)
  local inside = lane .. ':' .. number
  local accept_by = tonumber(redis.call('ZSCORE', CALLED, inside) or 0)
  redis.call('ZREM', CALLED, inside)
  redis.call('ZADD', ACTIVE, whole(admitted_until), inside)
  if reserved > 0 and accept_by <= now then
    reserved = reserved - 1
    redis.call('HSET', QUEUE, 'reserved', whole(reserved))
  end
end

local periods = {}
for at = 4, #ARGV, 7 do
  local of_epoch, user, lane, index, number, of, admitted_until = unpack(ARGV, at, at + 6)
  local its = lane_fields(lane)
  if of_epoch == epoch and its.tail and tonumber(index) >= 1 and tonumber(index) <= its.tail then
    if is_of_another_draw(index, of, its.drawn) then
      kept_from = {'drawn', its.drawn or ''}
    elseif tonumber(index) <= its.frozen then
      kept_from = {'drawing', ''}
    else
      if number_state(lane, number, its.head, now, tonumber(admitted_until))[1] == 'unseen' then
        take_up(user, lane, its, index, number, tonumber(admitted_until))
      end
      redis.call('SETBIT', seen_in(lane, period), number, 1)
      periods[lane] = true
    end
  end
end
for lane in pairs(periods) do
  redis.call('PEXPIRE', seen_in(lane, period), ttl_ms)
end
return kept_from
