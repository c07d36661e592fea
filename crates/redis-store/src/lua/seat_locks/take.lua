-- Holds free seats, all or none.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines
-- ARGV  1 owner, 2 deadline in ms, 3 '1' if no seat may be left alone, 4… slots, ascending, none twice
-- Reply nil if not loaded, or {version, {slots that are taken}, {slots that would be left alone}}: both empty if the seats are
--       held now; taken by this very owner, all of them, is no refusal
-- Cost  O(slots); a hold has at most 8
local STATE, ABOUT, OWNERS, DEADLINES = unpack(KEYS)
local owner, deadline, prevent_orphan_seats = ARGV[1], ARGV[2], ARGV[3] == '1'
local wanted = #ARGV - 3

if redis.call('EXISTS', STATE) == 0 then
  return false
end

local taken, own = {}, 0
for i = 4, #ARGV do
  local byte = redis.call('GETRANGE', STATE, ARGV[i], ARGV[i])
  if byte ~= 'a' then
    taken[#taken + 1] = tonumber(ARGV[i])
    if byte == 'h' and redis.call('HGET', OWNERS, ARGV[i]) == owner then
      own = own + 1
    end
  end
end
if own == wanted then
  for i = 4, #ARGV do
    redis.call('ZADD', DEADLINES, deadline, ARGV[i])
  end
  return {redis.call('HGET', ABOUT, 'version'), {}, {}}
end
if #taken > 0 then
  return {redis.call('HGET', ABOUT, 'version'), taken, {}}
end

-- What `orphan_seats` in the domain finds: neighbours of these seats that are free and whose own neighbours are not.
local function orphan_seats()
  local wanted_slots, alone = {}, {}
  for i = 4, #ARGV do
    wanted_slots[tonumber(ARGV[i])] = true
  end
  local function stays_free(slot)
    return slot >= 0 and not wanted_slots[slot] and redis.call('GETRANGE', STATE, slot, slot) == 'a'
  end
  for i = 4, #ARGV do
    for _, slot in ipairs({ARGV[i] - 1, ARGV[i] + 1}) do
      local known = alone[#alone] == slot
      if not known and stays_free(slot) and not stays_free(slot - 1) and not stays_free(slot + 1) then
        alone[#alone + 1] = slot
      end
    end
  end
  return alone
end

local alone = prevent_orphan_seats and orphan_seats() or {}
if #alone > 0 then
  return {redis.call('HGET', ABOUT, 'version'), {}, alone}
end

local changed = {}
for i = 4, #ARGV do
  changed[#changed + 1] = ARGV[i] .. 'h'
  redis.call('SETRANGE', STATE, ARGV[i], 'h')
  redis.call('HSET', OWNERS, ARGV[i], owner)
  redis.call('ZADD', DEADLINES, deadline, ARGV[i])
end
redis.call('HINCRBY', ABOUT, 'free', -wanted)
redis.call('HINCRBY', ABOUT, 'held', wanted)
return {tell(STATE, ABOUT, changed), {}, {}}
