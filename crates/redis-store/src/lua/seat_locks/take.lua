-- Holds free seats, all or none.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines, 5 fans
-- ARGV  1 owner, 2 deadline in ms, 3 the limit of seats per fan, 4 '1' if the call is no repeat, 5 '1' to prevent orphan seats,
--       6 the number of slots, 7… slots, ascending, without duplicates, and then the accessible seats among them and up to two seats
--       beside them, where orphans are prevented
-- Reply nil if nothing is loaded; otherwise {version, {slots that are taken}, {slots that would be orphans}, refusal}, where the
--       refusal is that of the fan. The lists are empty and the refusal is -1 if the seats are held now. If the owner holds all of
--       them already, only their deadline changes
-- Cost  O(slots); a hold has at most 8
local STATE, ABOUT, OWNERS, DEADLINES, FANS = unpack(KEYS)
local owner, deadline, limit, is_new, prevent_orphan_seats = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', ARGV[5] == '1'
local wanted = tonumber(ARGV[6])
local first, last = 7, 6 + wanted

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
  return {redis.call('HGET', ABOUT, 'version'), {}, {}, -1}
end
if #taken > 0 then
  return {redis.call('HGET', ABOUT, 'version'), taken, {}, -1}
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
  return {redis.call('HGET', ABOUT, 'version'), {}, orphans, -1}
end

local fan = read_fan(FANS, owner)
local refused = refusal(fan, owner, wanted, limit, is_new)
if refused ~= -1 then
  return {redis.call('HGET', ABOUT, 'version'), {}, {}, refused}
end

local changed = lock(STATE, OWNERS, DEADLINES, owner, deadline, {unpack(ARGV, first, last)})
add_to_fan(FANS, fan, owner, wanted, 0)
redis.call('HINCRBY', ABOUT, 'free', -wanted)
redis.call('HINCRBY', ABOUT, 'held', wanted)
return {publish(STATE, ABOUT, changed), {}, {}, -1}
