-- Prepended to the scripts that lock and free the seats of fans.
-- An owner has 32 bytes: the 16 of a reservation and the 16 of its fan. OWNERS has the owner of each seat that is held or sold.
-- FANS has a record per fan: 4 bytes for the number of these seats, 4 for how many of them are sold, and 8 for each of at most 16
-- reservations that they were locked for, also in the past: the last 8 bytes of its id.
local REMEMBERED_BYTES = 16 * 8

local function reservation_of(owner)
  return string.sub(owner, 1, 16)
end

local function read_fan(FANS, owner)
  local record = redis.call('HGET', FANS, string.sub(owner, 17))
  if not record then
    return {owned = 0, bought = 0, reservations = ''}
  end
  local owned, bought = struct.unpack('<I4I4', record)
  return {owned = owned, bought = bought, reservations = string.sub(record, 9)}
end

local function remembers(fan, owner)
  local id = string.sub(owner, 9, 16)
  for at = 1, #fan.reservations, 8 do
    if string.sub(fan.reservations, at, at + 7) == id then
      return true
    end
  end
  return false
end

-- Writes that an owner has this many seats more or fewer, and this many of them sold. Cost O(1)
local function add_to_fan(FANS, fan, owner, seats, sold)
  local reservations = fan.reservations
  if seats > 0 and #reservations < REMEMBERED_BYTES and not remembers(fan, owner) then
    reservations = reservations .. string.sub(owner, 9, 16)
  end
  local counts = struct.pack('<I4I4', math.max(fan.owned + seats, 0), math.max(fan.bought + sold, 0))
  redis.call('HSET', FANS, string.sub(owner, 17), counts .. reservations)
end

-- Locks free seats for an owner. Returns what is to be published.
local function lock(STATE, OWNERS, DEADLINES, owner, deadline, slots)
  local changed, owners, deadlines = {}, {}, {}
  for i, slot in ipairs(slots) do
    redis.call('SETRANGE', STATE, slot, 'h')
    changed[i] = slot .. 'h'
    owners[2 * i - 1], owners[2 * i] = slot, owner
    deadlines[2 * i - 1], deadlines[2 * i] = deadline, slot
  end
  redis.call('HSET', OWNERS, unpack(owners))
  redis.call('ZADD', DEADLINES, unpack(deadlines))
  return changed
end

-- Why a fan gets no further seats: the number of seats that the fan has, if these would be too many; -2 if the call may be a repeat;
-- -1 if the fan gets them.
local function refusal(fan, owner, wanted, limit, is_new)
  if fan.owned + wanted > limit then
    return fan.owned
  end
  if not is_new and (#fan.reservations >= REMEMBERED_BYTES or remembers(fan, owner)) then
    return -2
  end
  return -1
end

