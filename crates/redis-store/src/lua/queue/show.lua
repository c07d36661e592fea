-- Shows queue tokens of a queue that was restored. Their unseen numbers wait again, or are active.
-- KEYS  see queue.lua
-- ARGV  1 now in ms, 2 presence period, 3 how long to keep its bitmap in ms; for each token 4… epoch, user, lane, index,
--       number, count of the draw of the number, the time of issue in ms, '1' if the fan needs an accessible seat, the
--       deadline in ms until which the fan is active according to the token, or ''
-- Reply {'ok', '', lane:index, …} with the tokens that ended because their users have others, {'lost', ''}; {'drawn', count of
--       the draw} or {'drawing', ''} if a token was refused for that reason
-- Cost  O(log max_active) for each token, and once the numbers that were called after the restored record was made
local now, period, ttl_ms = tonumber(ARGV[1]), ARGV[2], ARGV[3]

local queue = read_queue('epoch', 'reserved', 'reserved_until')
if not queue then
  return {'lost', ''}
end
local epoch, reserved = queue[2], tonumber(queue[3])
if now >= tonumber(queue[4]) then
  reserved = 0
end
local lanes, result, replaced = {}, {'ok', ''}, {}

local function lane_fields(lane)
  if not lanes[lane] then
    local values = redis.call('HMGET', QUEUE, 'head:' .. lane, 'tail:' .. lane, 'drawn:' .. lane, 'frozen:' .. lane)
    lanes[lane] = {head = tonumber(values[1]), tail = tonumber(values[2]), drawn = values[3], frozen = tonumber(values[4] or 0)}
  end
  return lanes[lane]
end

-- Raises the head to the number of an active fan. The numbers before it must have been called as well, so those that wait are
-- late.
local function raise_head(lane, fields, number)
  for before = fields.head + 1, number - 1 do
    if redis.call('GETBIT', of_lane('gone', lane), before) == 0 then
      redis.call('ZADD', of_lane('late', lane), before, whole(before))
    end
  end
  fields.head = number
  redis.call('HSET', QUEUE, 'head:' .. lane, whole(number))
end

-- Whether another token of this user replaces the shown one. The earlier token stays, unless only the later one is admitted.
local function is_replaced(user, lane, index, is_admitted)
  local other = redis.call('HGET', MEMBERS, user)
  if not other or is_of_member(other, lane, index) then
    return false
  end
  local other_lane, other_index = read_member(other)
  local fields = lane_fields(other_lane)
  if fields.drawn and tonumber(other_index) <= tonumber(fields.drawn) then
    return true
  end
  local state = number_state(other_lane, other_index, fields.head, now)
  if state[1] == 'ended' then
    return false
  end
  local is_earlier = other_lane == lane and tonumber(other_index) < tonumber(index)
  if state[1] ~= 'waiting' or (is_earlier and not is_admitted) then
    return true
  end
  end_waiting(other_lane, other_index, fields.head, 'm')
  count('left', 1)
  replaced[#replaced + 1] = other_lane .. ':' .. other_index
  return false
end

local function restore(user, lane, fields, index, number, issued_at, needs_accessible, admitted_until)
  redis.call('SETBIT', of_lane('unseen', lane), number, 0)
  if admitted_until and admitted_until <= now then
    redis.call('SETRANGE', of_lane('reasons', lane), number, 'x')
    return
  end
  if is_replaced(user, lane, index, admitted_until) then
    redis.call('SETRANGE', of_lane('reasons', lane), number, 'm')
    replaced[#replaced + 1] = lane .. ':' .. index
    return
  end
  redis.call('HSET', MEMBERS, user, member_of(lane, index, issued_at, needs_accessible))
  if not admitted_until then
    if needs_accessible then
      redis.call('SETBIT', of_lane('gone', lane), number, 1)
      redis.call('SETBIT', of_lane('accessible', lane), number, 1)
    elseif tonumber(number) > fields.head then
      redis.call('SETBIT', of_lane('gone', lane), number, 0)
    else
      redis.call('ZADD', of_lane('late', lane), number, number)
    end
    return
  end
  local lane_number = lane .. ':' .. number
  if needs_accessible then
    -- The fan may have been called out of turn, so the head stays.
    redis.call('SETBIT', of_lane('gone', lane), number, 1)
    redis.call('SETBIT', of_lane('accessible', lane), number, 0)
    redis.call('ZADD', INSIDE_ACCESSIBLE, whole(admitted_until), lane_number)
  elseif tonumber(number) > fields.head then
    raise_head(lane, fields, tonumber(number))
  end
  redis.call('ZREM', of_lane('late', lane), number)
  local accept_by = tonumber(redis.call('ZSCORE', CALLED, lane_number) or 0)
  redis.call('ZREM', CALLED, lane_number)
  redis.call('ZADD', ACTIVE, whole(admitted_until), lane_number)
  if reserved > 0 and accept_by <= now then
    reserved = reserved - 1
    redis.call('HSET', QUEUE, 'reserved', whole(reserved))
  end
end

local periods = {}
for at = 4, #ARGV, 9 do
  local token_epoch, user, lane, index, number, drawn, issued_at, need, admitted_until = unpack(ARGV, at, at + 8)
  local fields = lane_fields(lane)
  if token_epoch == epoch and fields.tail and tonumber(index) >= 1 and tonumber(index) <= fields.tail then
    if is_of_another_draw(index, drawn, fields.drawn) then
      result = {'drawn', fields.drawn or ''}
    elseif tonumber(index) <= fields.frozen then
      result = {'drawing', ''}
    else
      if number_state(lane, number, fields.head, now, tonumber(admitted_until))[1] == 'unseen' then
        restore(user, lane, fields, index, number, issued_at, need == '1', tonumber(admitted_until))
      end
      redis.call('SETBIT', seen_in(lane, period), number, 1)
      periods[lane] = true
    end
  end
end
for lane in pairs(periods) do
  redis.call('PEXPIRE', seen_in(lane, period), ttl_ms)
end
if result[1] == 'ok' then
  for _, token in ipairs(replaced) do
    result[#result + 1] = token
  end
end
return result
