-- In front of the scripts that choose. What one owner was given is remembered for a while, so that a repeat of the same request
-- meets its own seats.

-- The seats that this owner was given, until a new deadline; none unless the owner holds all of them still, and they could be what
-- is asked for now, which `fits` is asked about their slots, in order.
local function given(STATE, OWNERS, DEADLINES, GIVEN, owner, deadline, fits)
  local slots = redis.call('LRANGE', GIVEN, 0, -1)
  for i, slot in ipairs(slots) do
    slots[i] = tonumber(slot)
    if redis.call('GETRANGE', STATE, slot, slot) ~= 'h' or redis.call('HGET', OWNERS, slot) ~= owner then
      return {}
    end
  end
  if #slots == 0 or not fits(slots) then
    return {}
  end
  for _, slot in ipairs(slots) do
    redis.call('ZADD', DEADLINES, deadline, slot)
  end
  return slots
end

-- Gives free seats to an owner. Answers the version.
local function give(STATE, ABOUT, OWNERS, DEADLINES, GIVEN, owner, deadline, remember_ms, slots)
  local changed = {}
  for _, slot in ipairs(slots) do
    changed[#changed + 1] = slot .. 'h'
    redis.call('SETRANGE', STATE, slot, 'h')
    redis.call('HSET', OWNERS, slot, owner)
    redis.call('ZADD', DEADLINES, deadline, slot)
  end
  redis.call('DEL', GIVEN)
  redis.call('RPUSH', GIVEN, unpack(slots))
  redis.call('PEXPIRE', GIVEN, remember_ms)
  redis.call('HINCRBY', ABOUT, 'free', -#slots)
  redis.call('HINCRBY', ABOUT, 'held', #slots)
  return tell(STATE, ABOUT, changed)
end
