-- Put before every script of the queues.
-- KEYS  1 the queue; its other keys are named after it, so all are under its hash tag
local QUEUE = KEYS[1]
local MEMBERS, CALLED, ACTIVE, TRIES = QUEUE .. ':members', QUEUE .. ':called', QUEUE .. ':active', QUEUE .. ':tries'

-- A key of one lane: gone, unseen, reasons, late, or the seen of a period.
local function of_lane(name, lane)
  return QUEUE .. ':' .. name .. ':' .. lane
end

local function seen_in(lane, period)
  return QUEUE .. ':seen:' .. lane .. ':' .. period
end

-- Which history this Redis serves: another one after a fail-over or a restart, when the last writes may be lost.
local function home()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- These fields of the queue, after its home; nil if the queue is lost. O(1).
local function in_place(...)
  local queue = redis.call('HMGET', QUEUE, 'home', ...)
  if queue[1] and queue[1] == home() then
    return queue
  end
end

local function whole(number)
  return string.format('%.0f', number)
end

local function count(what, by)
  redis.call('HINCRBY', QUEUE, 'flow:' .. what, whole(by))
end

-- The state of a number that was given out, as {name, detail}: the detail is a deadline in ms or the byte of a reason.
-- What is due is over, though nobody has written it down yet. `admitted_until`, nil if it was not admitted, is what its queue token says:
-- if that is to come, and the queue only knows that the number waits or was called, the fan came in just before the queue was lost, and
-- has yet to show the place. O(log called + log active).
local function number_state(lane, number, head, now, admitted_until)
  if redis.call('GETBIT', of_lane('unseen', lane), number) == 1 then
    return {'unseen', ''}
  end
  local reason = redis.call('GETRANGE', of_lane('reasons', lane), number, number)
  if reason ~= '' and reason ~= '\0' then
    return {'ended', reason}
  end
  local is_admitted = admitted_until and admitted_until > now
  local is_to_be_shown = is_admitted and redis.call('HEXISTS', QUEUE, 'awaits') == 1
  if tonumber(number) > head then
    if redis.call('GETBIT', of_lane('gone', lane), number) == 1 then
      return {'ended', 'a'}
    end
    return {is_to_be_shown and 'unseen' or 'waiting', ''}
  end
  local inside = lane .. ':' .. number
  local accept_by = redis.call('ZSCORE', CALLED, inside)
  if accept_by and tonumber(accept_by) > now then
    return is_admitted and {'unseen', ''} or {'called', accept_by}
  end
  local active_until = redis.call('ZSCORE', ACTIVE, inside)
  if active_until then
    if tonumber(active_until) > now then
      return {'active', active_until}
    end
    return {'ended', 'x'}
  end
  if is_to_be_shown then
    return {'unseen', ''}
  end
  if redis.call('ZSCORE', of_lane('late', lane), number) then
    return {'waiting', ''}
  end
  return {'ended', admitted_until and 'x' or 'a'}
end

-- Takes a waiting number out of the queue.
local function end_waiting(lane, number, head, reason)
  if tonumber(number) > head then
    redis.call('SETBIT', of_lane('gone', lane), number, 1)
  else
    redis.call('ZREM', of_lane('late', lane), number)
  end
  redis.call('SETRANGE', of_lane('reasons', lane), number, reason)
end

-- Whether a place's number was found with another draw than the lane's; `drawn` is the lane's, or false.
local function is_of_another_draw(index, of, drawn)
  local expected = 0
  if drawn and tonumber(index) <= tonumber(drawn) then
    expected = tonumber(drawn)
  end
  return tonumber(of) ~= expected
end
