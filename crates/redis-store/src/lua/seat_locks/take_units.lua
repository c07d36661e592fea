-- Holds the first free units of a general admission area. Chooses the same units as `UnitSearch::choose` in the domain.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines, 5 fans, 6 the units chosen for this owner before
-- ARGV  1 owner, 2 deadline in ms, 3 how long to remember the chosen units, in ms, 4 the limit of seats per fan, 5 '1' if the call is
--       no repeat, 6 the number of units, 7 the first slot of the area, 8 the number of its units, 9 the slot at which the search begins
-- Reply nil if nothing is loaded; otherwise {version, {slots}, number of free units, refusal}: no slots if fewer are free than
--       wanted, or if the refusal is not -1; it is that of the fan
-- Cost  O(units wanted) until the area is nearly full; then it reads the area in chunks, at most once, at the speed of memchr
local STATE, ABOUT, OWNERS, DEADLINES, FANS, CHOSEN = unpack(KEYS)
local owner, deadline, remember_ms, limit, is_new = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local wanted, first, capacity, from = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
-- The number of slots per read. It grows, so that reads are short in an empty area and few in a full one.
local CHUNK_MIN, CHUNK_MAX = 64, 16384

if redis.call('EXISTS', STATE) == 0 then
  return false
end

local own = chosen_before(STATE, OWNERS, DEADLINES, CHOSEN, owner, deadline, function(slots)
  return #slots == wanted and slots[1] >= first and slots[#slots] < first + capacity
end)
if #own > 0 then
  return {redis.call('HGET', ABOUT, 'version'), own, 0, -1}
end
local fan = read_fan(FANS, owner)
local refused = refusal(fan, owner, wanted, limit, is_new)
if refused ~= -1 then
  return {redis.call('HGET', ABOUT, 'version'), {}, 0, refused}
end

local slots, chunk = {}, CHUNK_MIN
-- Adds the free slots from `at` to `last`, until there are enough.
local function search(at, last)
  while at <= last and #slots < wanted do
    local upto = math.min(last, at + chunk - 1)
    local bytes = redis.call('GETRANGE', STATE, at, upto)
    local found = string.find(bytes, 'a', 1, true)
    while found and #slots < wanted do
      slots[#slots + 1] = at + found - 1
      found = string.find(bytes, 'a', found + 1, true)
    end
    at = upto + 1
    chunk = math.min(CHUNK_MAX, chunk * 4)
  end
end

search(from, first + capacity - 1)
search(first, from - 1)
if #slots < wanted then
  return {redis.call('HGET', ABOUT, 'version'), {}, #slots, -1}
end
table.sort(slots)
return {hold(STATE, ABOUT, OWNERS, DEADLINES, FANS, CHOSEN, fan, owner, deadline, remember_ms, slots), slots, 0, -1}
