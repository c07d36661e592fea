-- Put before the scripts that ask what became of a number.
-- KEYS  1 line, 2 gone, 3 reasons, 4 members, 5 called, 6 active, then the script's own
local LINE, GONE, REASONS, MEMBERS, CALLED, ACTIVE = unpack(KEYS, 1, 6)

-- The state of a number that was given out, as {name, detail}: the detail is a deadline in ms or the byte of a reason.
-- What is due is over, though nobody has written it down yet. O(log called + log active).
local function number_state(number, head, now)
  local reason = redis.call('GETRANGE', REASONS, number, number)
  if reason ~= '' and reason ~= '\0' then
    return {'ended', reason}
  end
  if tonumber(number) > head then
    if redis.call('GETBIT', GONE, number) == 1 then
      return {'ended', 'a'}
    end
    return {'waiting', ''}
  end
  local claim_by = redis.call('ZSCORE', CALLED, number)
  if claim_by and tonumber(claim_by) > now then
    return {'called', claim_by}
  end
  local active_until = redis.call('ZSCORE', ACTIVE, number)
  if active_until then
    if tonumber(active_until) > now then
      return {'active', active_until}
    end
    return {'ended', 'x'}
  end
  return {'ended', 'a'}
end

-- The state of a ticket: over if its number was not given out in this run of the line.
local function ticket_state(epoch, number, now)
  local line = redis.call('HMGET', LINE, 'epoch', 'head', 'tail')
  local asked = tonumber(number)
  if line[1] ~= epoch or asked < 1 or asked > tonumber(line[3]) then
    return {'ended', 'r'}
  end
  return number_state(number, tonumber(line[2]), now)
end
