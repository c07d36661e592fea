-- Holds the best free seats of a search. Chooses the same seats as `SeatSearch::choose` in the domain.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines, 5 fans, 6 distances, 4 bytes per slot, with the highest bit set if the seat is
--       accessible, 7 the seats chosen for this owner before
-- ARGV  1 owner, 2 deadline in ms, 3 how long to remember the chosen seats, in ms, 4 the limit of seats per fan, 5 '1' if the call is
--       no repeat, 6 the ways to split the seats into blocks, as sizes, in order of preference: '4' or '4;2,2;3,1;…'
--       7… one argument per section, in order of preference: its stretches, the nearest first, each as 4 bytes for its first slot, 4 for
--          its last slot, and 4 for the distance of its nearest seat
-- Reply nil if nothing is loaded; otherwise {version, {slots}, refusal}: no slots if none fit, or if the refusal is not -1; it is that
--       of the fan. The version is -1 if there are no distances
-- Cost  O(stretches), and O(seats) of those stretches that have a free block and may be nearer; reads the state of all seats once
local STATE, ABOUT, OWNERS, DEADLINES, FANS, DISTANCES, CHOSEN = unpack(KEYS)
local owner, deadline, remember_ms, limit, is_new = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == '1'
local WAYS, FIRST_SECTION = ARGV[6], 7
-- The first way is one block of all seats.
local wanted = tonumber(string.match(WAYS, '^%d+'))
local FREE = string.byte('a')
local ACCESSIBLE = 0x80000000

if redis.call('EXISTS', STATE) == 0 then
  return false
end

local function version()
  return tonumber(redis.call('HGET', ABOUT, 'version'))
end

-- Whether the search could have chosen these slots. The same as `SeatSearch::could_choose` in the domain.
local function fits(slots)
  local function within_one(first, last)
    for i = FIRST_SECTION, #ARGV do
      for at = 1, #ARGV[i], 12 do
        local from, to = struct.unpack('<I4I4', ARGV[i], at)
        if from <= first and last <= to then
          return true
        end
      end
    end
    return false
  end
  if #slots ~= wanted then
    return false
  end
  if not string.find(WAYS, ';', 1, true) then
    return slots[#slots] - slots[1] + 1 == wanted and within_one(slots[1], slots[#slots])
  end
  for _, slot in ipairs(slots) do
    if not within_one(slot, slot) then
      return false
    end
  end
  return true
end

local own = chosen_before(STATE, OWNERS, DEADLINES, CHOSEN, owner, deadline, fits)
if #own > 0 then
  return {version(), own, -1}
end
local fan = read_fan(FANS, owner)
local refused = refusal(fan, owner, wanted, limit, is_new)
if refused ~= -1 then
  return {version(), {}, refused}
end
-- A venue may have no seats, or none of the wanted grades.
local stretches_bytes = 0
for i = FIRST_SECTION, #ARGV do
  stretches_bytes = stretches_bytes + #ARGV[i]
end
if stretches_bytes == 0 then
  return {version(), {}, -1}
end
-- Each slot of a seat has a distance. The slots of general admission areas follow.
local seat_slots = redis.call('STRLEN', DISTANCES) / 4
if seat_slots == 0 then
  return {-1, {}, -1}
end
local state = redis.call('GETRANGE', STATE, 0, seat_slots - 1)

-- Strings begin at 1, slots at 0. byte() past the end of the string is nil.
local function is_free(slot)
  return slot >= 0 and string.byte(state, slot + 1) == FREE
end

-- The first slot of the best block of a section that leaves no orphan seats, and that of the best block.
local function nearest(stretches, size)
  local block = string.rep('a', size)
  local clean, clean_distance, any, any_distance
  for at = 1, #stretches, 12 do
    local first, last, least = struct.unpack('<I4I4I4', stretches, at)
    if clean and clean_distance < least * size then
      break
    end
    local from = string.find(string.sub(state, first + 1, last + 1), block, 1, true)
    if from then
      -- With the two seats on either side, which may be left alone.
      local begin = math.max(first - 2, 0)
      local seats = redis.call('GETRANGE', DISTANCES, begin * 4, (last + 2) * 4 + 3)
      local function packed(slot)
        return (struct.unpack('<I4', seats, (slot - begin) * 4 + 1))
      end
      local function distance(slot)
        return packed(slot) % ACCESSIBLE
      end
      local function is_ordinary(slot)
        return packed(slot) < ACCESSIBLE
      end
      local function counts(slot)
        return is_free(slot) and is_ordinary(slot)
      end
      -- The same as `SeatOrder::leaves_an_orphan` in the domain.
      local function leaves_an_orphan(from, to)
        return is_ordinary(from) and counts(from - 1) and not counts(from - 2)
          or is_ordinary(to) and counts(to + 1) and not counts(to + 2)
      end
      local free, sum = 0, 0
      for slot = first + from - 1, last do
        if is_free(slot) then
          free, sum = free + 1, sum + distance(slot)
          if free > size then
            sum = sum - distance(slot - size)
          end
          if free >= size then
            local start = slot - size + 1
            if not any or sum < any_distance or sum == any_distance and start < any then
              any, any_distance = start, sum
            end
            local nearer = not clean or sum < clean_distance or sum == clean_distance and start < clean
            if nearer and not leaves_an_orphan(start, slot) then
              clean, clean_distance = start, sum
            end
          end
        else
          free, sum = 0, 0
        end
      end
    end
  end
  return clean, any
end

local function add(slots, first, size)
  for slot = first, first + size - 1 do
    slots[#slots + 1] = slot
  end
end

local function one_block(size)
  local best
  for i = FIRST_SECTION, #ARGV do
    local clean, any = nearest(ARGV[i], size)
    best = best or any
    if clean then
      best = clean
      break
    end
  end
  local slots = {}
  if best then
    add(slots, best, size)
  end
  return slots
end

local function parts(section, sizes)
  local untouched, slots = state, {}
  for _, size in ipairs(sizes) do
    local clean, any = nearest(section, size)
    local first = clean or any
    if not first then
      slots = {}
      break
    end
    add(slots, first, size)
    state = string.sub(state, 1, first) .. string.rep('h', size) .. string.sub(state, first + size + 1)
  end
  state = untouched
  return slots
end

local function choose()
  for way in string.gmatch(WAYS, '[^;]+') do
    local sizes, largest = {}, 0
    for size in string.gmatch(way, '%d+') do
      sizes[#sizes + 1] = tonumber(size)
      largest = math.max(largest, sizes[#sizes])
    end
    -- Skips the search in a venue that is nearly sold out.
    if string.find(state, string.rep('a', largest), 1, true) then
      if #sizes == 1 then
        local slots = one_block(sizes[1])
        if #slots > 0 then
          return slots
        end
      else
        for i = FIRST_SECTION, #ARGV do
          local slots = parts(ARGV[i], sizes)
          if #slots > 0 then
            return slots
          end
        end
      end
    end
  end
  return {}
end

local slots = choose()
if #slots == 0 then
  return {version(), slots, -1}
end
table.sort(slots)
return {hold(STATE, ABOUT, OWNERS, DEADLINES, FANS, CHOSEN, fan, owner, deadline, remember_ms, slots), slots, -1}
