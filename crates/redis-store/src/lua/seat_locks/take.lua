-- Holds free seats, all or none.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines
-- ARGV  1 owner, 2 deadline in ms, 3 '1' to prevent orphan seats, 4 the number of slots, 5… slots, ascending, without
--       duplicates, and then the accessible seats among them and up to two seats beside them, where orphans are prevented
-- Reply nil if nothing is loaded; otherwise {version, {slots that are taken}, {slots that would be orphans}}. Both lists
--       are empty if the seats are held now. If the owner holds all of them already, only their deadline changes
-- Cost  O(slots); a hold has at most 8
local STATE, ABOUT, OWNERS, DEADLINES = unpack(KEYS)
local owner, deadline, prevent_orphan_seats = ARGV[1], ARGV[2], ARGV[3] == '1'
local wanted = tonumber(ARGV[4])
local first, last = 5, 4 + wanted

if redis.call('EXISTS', STATE) == 0 then
  return false
end

local taken, own = {}, 0
for i = first, last do
  local byte = redis.call('GETRANGE', STATE, ARGV[i], ARGV[i])
  if byte ~= 'a' then
    taken[#taken + 1] = tonumber(ARGV[i])
    if byte == 'h' and redis.call('HGET', OWNERS, ARGV[i]) == owner then
      own = own + 1
    end
  end
end
if own == wanted then
  for i = first, last do
    redis.call('ZADD', DEADLINES, deadline, ARGV[i])
  end
  return {redis.call('HGET', ABOUT, 'version'), {}, {}}
end
if #taken > 0 then
  return {redis.call('HGET', ABOUT, 'version'), taken, {}}
end

-- The same as `orphan_seats` in the domain: free neighbours of these seats without a free neighbour of their own. Accessible
-- seats count neither as orphans nor as neighbours.
local function orphan_seats()
  local wanted_slots, accessible, orphans = {}, {}, {}
  for i = first, last do
    wanted_slots[tonumber(ARGV[i])] = true
  end
  for i = last + 1, #ARGV do
    accessible[tonumber(ARGV[i])] = true
  end
  local function stays_free(slot)
    return slot >= 0 and not wanted_slots[slot] and not accessible[slot] and redis.call('GETRANGE', STATE, slot, slot) == 'a'
  end
  for i = first, last do
    local neighbours = accessible[tonumber(ARGV[i])] and {} or {ARGV[i] - 1, ARGV[i] + 1}
    for _, slot in ipairs(neighbours) do
      local known = orphans[#orphans] == slot
      if not known and stays_free(slot) and not stays_free(slot - 1) and not stays_free(slot + 1) then
        orphans[#orphans + 1] = slot
      end
    end
  end
  return orphans
end

local orphans = prevent_orphan_seats and orphan_seats() or {}
if #orphans > 0 then
  return {redis.call('HGET', ABOUT, 'version'), {}, orphans}
end

local changed = {}
for i = first, last do
  changed[#changed + 1] = ARGV[i] .. 'h'
  redis.call('SETRANGE', STATE, ARGV[i], 'h')
  redis.call('HSET', OWNERS, ARGV[i], owner)
  redis.call('ZADD', DEADLINES, deadline, ARGV[i])
end
redis.call('HINCRBY', ABOUT, 'free', -wanted)
redis.call('HINCRBY', ABOUT, 'held', wanted)
return {publish(STATE, ABOUT, changed), {}, {}}
