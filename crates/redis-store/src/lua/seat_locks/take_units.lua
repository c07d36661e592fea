-- Holds the first free units of a general admission area: what `UnitSearch::choose` in the domain chooses.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines, 5 what this owner was given last
-- ARGV  1 owner, 2 deadline in ms, 3 how long it is remembered what the owner was given, in ms
--       4 how many, 5 the first slot of the area, 6 how many units it has, 7 the slot at which the search begins
-- Reply nil if not loaded, or {version, {slots}, how many are left}: no slots if fewer are left than wanted
-- Cost  O(units wanted) until the area is nearly full; then it reads the area in pieces, at most once, at the speed of memchr
local STATE, ABOUT, OWNERS, DEADLINES, GIVEN = unpack(KEYS)
local owner, deadline, remember_ms = ARGV[1], ARGV[2], ARGV[3]
local wanted, first, capacity, from = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
-- How many slots are read at once: short where most are free, and few readings where none is.
local PIECE_MIN, PIECE_MAX = 64, 16384

if redis.call('EXISTS', STATE) == 0 then
  return false
end

local own = given(STATE, OWNERS, DEADLINES, GIVEN, owner, deadline, function(slots)
  return #slots == wanted and slots[1] >= first and slots[#slots] < first + capacity
end)
if #own > 0 then
  return {redis.call('HGET', ABOUT, 'version'), own, 0}
end

local slots, piece = {}, PIECE_MIN
-- Adds free slots from one to another, until there are enough.
local function look(at, last)
  while at <= last and #slots < wanted do
    local upto = math.min(last, at + piece - 1)
    local bytes = redis.call('GETRANGE', STATE, at, upto)
    local found = string.find(bytes, 'a', 1, true)
    while found and #slots < wanted do
      slots[#slots + 1] = at + found - 1
      found = string.find(bytes, 'a', found + 1, true)
    end
    at = upto + 1
    piece = math.min(PIECE_MAX, piece * 4)
  end
end

look(from, first + capacity - 1)
look(first, from - 1)
if #slots < wanted then
  return {redis.call('HGET', ABOUT, 'version'), {}, #slots}
end
table.sort(slots)
return {give(STATE, ABOUT, OWNERS, DEADLINES, GIVEN, owner, deadline, remember_ms, slots), slots, 0}
