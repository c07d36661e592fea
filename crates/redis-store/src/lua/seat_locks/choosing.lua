-- Prepended to the scripts that choose seats. The seats that were chosen for an owner are remembered for a while, so that a
-- retry of the same request is answered with the same seats.

-- Returns the seats that were chosen for this owner before, and sets their new deadline. Returns no seats unless the owner
-- still holds all of them and they satisfy the current request, which `fits` decides from their slots, in order.
local function chosen_before(STATE, OWNERS, DEADLINES, CHOSEN, owner, deadline, fits)
  local slots = redis.call('LRANGE', CHOSEN, 0, -1)
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

-- Holds free seats for an owner. Returns the version.
local function hold(STATE, ABOUT, OWNERS, DEADLINES, FANS, CHOSEN, fan, owner, deadline, remember_ms, slots)
  local changed = lock(STATE, OWNERS, DEADLINES, owner, deadline, slots)
  redis.call('DEL', CHOSEN)
  redis.call('RPUSH', CHOSEN, unpack(slots))
  redis.call('PEXPIRE', CHOSEN, remember_ms)
  add_to_fan(FANS, fan, owner, #slots, 0)
  redis.call('HINCRBY', ABOUT, 'free', -#slots)
  redis.call('HINCRBY', ABOUT, 'held', #slots)
  return publish(STATE, ABOUT, changed)
end
