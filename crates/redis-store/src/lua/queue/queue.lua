-- Prepended to every script of a queue.
-- KEYS  1 the queue; the names of its other keys are derived from it, so all of them have its hash tag
local QUEUE = KEYS[1]
local MEMBERS, CALLED, ACTIVE, TRIES = QUEUE .. ':members', QUEUE .. ':called', QUEUE .. ':active', QUEUE .. ':tries'
-- The called and active numbers that need an accessible seat, with their deadlines.
local INSIDE_ACCESSIBLE = QUEUE .. ':inside_accessible'
-- The latest samples of how fast the queue calls; see encore_domain::queue::Pace.
local PACE = QUEUE .. ':pace'

-- A key of one lane: gone, unseen, reasons, late or accessible. The bitmap `accessible` has the waiting numbers that need an
-- accessible seat. They are gone as well, so that all else passes over them.
local function of_lane(name, lane)
  return QUEUE .. ':' .. name .. ':' .. lane
end

-- The bitmap of the numbers of a lane that were seen in a period.
local function seen_in(lane, period)
  return QUEUE .. ':seen:' .. lane .. ':' .. period
end

-- The replication id of this Redis. It changes with a failover or a restart, after which the last writes may be missing.
local function home()
  return string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
end

-- Reads fields of the queue: its home, then these. Returns nil if the queue is lost. O(1).
local function read_queue(...)
  local queue = redis.call('HMGET', QUEUE, 'home', ...)
  if queue[1] and queue[1] == home() then
    return queue
  end
end

local function whole(number)
  return string.format('%.0f', number)
end

-- A member of the queue: the fan's lane and index, when the token was issued in ms, and 'a' if the fan needs an accessible seat.
local function member_of(lane, index, issued_at, needs_accessible)
  return lane .. ':' .. index .. ':' .. issued_at .. ':' .. (needs_accessible and 'a' or '')
end

-- The lane, the index, the time of issue in ms and 'a' or '' of a member.
local function read_member(member)
  return string.match(member, '^(%d+):(%d+):(%d+):(a?)$')
end

-- Whether this is the token of the member.
local function is_of_member(member, lane, index)
  local own_lane, own_index = read_member(member)
  return own_lane == lane and own_index == index
end

local function count(what, by)
  redis.call('HINCRBY', QUEUE, 'flow:' .. what, whole(by))
end

-- The state of an issued number, as {name, detail}. The detail is a deadline in ms or the byte of a reason. A deadline that has
-- passed counts, even if no admission has recorded it yet. `admitted_until` is the deadline in the queue token, or nil if the
-- token does not say that its fan is active. If that deadline is in the future but the queue records the number as waiting or
-- called, the fan accepted just before the queue was lost: the number is unseen until the token is shown. O(log called + log
-- active).
local function number_state(lane, number, head, now, admitted_until)
  if redis.call('GETBIT', of_lane('unseen', lane), number) == 1 then
    return {'unseen', ''}
  end
  local reason = redis.call('GETRANGE', of_lane('reasons', lane), number, number)
  if reason ~= '' and reason ~= '\0' then
    return {'ended', reason}
  end
  local is_admitted = admitted_until and admitted_until > now
  local must_be_shown = is_admitted and redis.call('HEXISTS', QUEUE, 'recovering') == 1
  local is_gone = redis.call('GETBIT', of_lane('gone', lane), number) == 1
  local is_after_head = tonumber(number) > head
  if redis.call('GETBIT', of_lane('accessible', lane), number) == 1 or (is_after_head and not is_gone) then
    return {must_be_shown and 'unseen' or 'waiting', ''}
  end
  local lane_number = lane .. ':' .. number
  local accept_by = redis.call('ZSCORE', CALLED, lane_number)
  if accept_by and tonumber(accept_by) > now then
    return is_admitted and {'unseen', ''} or {'called', accept_by}
  end
  local active_until = redis.call('ZSCORE', ACTIVE, lane_number)
  if active_until then
    if tonumber(active_until) > now then
      return {'active', active_until}
    end
    return {'ended', 'x'}
  end
  if is_after_head then
    return {'ended', 'a'}
  end
  if must_be_shown then
    return {'unseen', ''}
  end
  if redis.call('ZSCORE', of_lane('late', lane), number) then
    return {'waiting', ''}
  end
  return {'ended', admitted_until and 'x' or 'a'}
end

-- Ends a waiting number.
local function end_waiting(lane, number, head, reason)
  if redis.call('GETBIT', of_lane('accessible', lane), number) == 1 then
    redis.call('SETBIT', of_lane('accessible', lane), number, 0)
  elseif tonumber(number) > head then
    redis.call('SETBIT', of_lane('gone', lane), number, 1)
  else
    redis.call('ZREM', of_lane('late', lane), number)
  end
  redis.call('SETRANGE', of_lane('reasons', lane), number, reason)
end

-- Whether the number of a queue token belongs to another draw than the lane's. `token_drawn` is the count of the draw according
-- to the token, 0 if its number was not drawn. `drawn` is the count of the lane's draw, or false if the lane was not drawn.
local function is_of_another_draw(index, token_drawn, drawn)
  local expected = 0
  if drawn and tonumber(index) <= tonumber(drawn) then
    expected = tonumber(drawn)
  end
  return tonumber(token_drawn) ~= expected
end
