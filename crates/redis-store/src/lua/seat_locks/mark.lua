-- Sets seats to held, sold or blocked, whatever their state was. Slots that are no seats are ignored.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines, 5 fans
-- ARGV  for each seat, at most 1,000: slot, owner, deadline in ms; or slot, owner, 's' if sold; or slot, '', 'b' if blocked
-- Reply the version, which increases if any seat changed between free, held, sold and blocked; nil if nothing is loaded
-- Cost  O(seats)
local STATE, ABOUT, OWNERS, DEADLINES, FANS = unpack(KEYS)

-- By owner: how many seats more it has, and how many of them sold.
local gains = {}
local function gain(owner, seats, sold)
  local of_owner = gains[owner] or {0, 0}
  gains[owner] = {of_owner[1] + seats, of_owner[2] + (sold and seats or 0)}
end

local changed, newly_taken, newly_held = {}, 0, 0
for i = 1, #ARGV, 3 do
  local slot, owner, deadline = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local was = redis.call('GETRANGE', STATE, slot, slot)
  if was == 'a' or was == 'h' or was == 's' or was == 'b' then
    local now = deadline
    if deadline == 's' or deadline == 'b' then
      redis.call('ZREM', DEADLINES, slot)
    else
      now = 'h'
      redis.call('ZADD', DEADLINES, deadline, slot)
    end
    local before = redis.call('HGET', OWNERS, slot)
    if before then
      gain(before, -1, was == 's')
    end
    if owner == '' then
      redis.call('HDEL', OWNERS, slot)
    else
      gain(owner, 1, now == 's')
      if before ~= owner then
        redis.call('HSET', OWNERS, slot, owner)
      end
    end
    if was == 'a' then
      newly_taken = newly_taken + 1
    end
    if was ~= now then
      if now == 'h' then
        newly_held = newly_held + 1
      elseif was == 'h' then
        newly_held = newly_held - 1
      end
      redis.call('SETRANGE', STATE, slot, now)
      changed[#changed + 1] = slot .. now
    end
  end
end
for owner, by in pairs(gains) do
  if by[1] ~= 0 or by[2] ~= 0 then
    add_to_fan(FANS, read_fan(FANS, owner), owner, by[1], by[2])
  end
end
if newly_taken > 0 then
  redis.call('HINCRBY', ABOUT, 'free', -newly_taken)
end
if newly_held ~= 0 then
  redis.call('HINCRBY', ABOUT, 'held', newly_held)
end
if #changed == 0 then
  return redis.call('HGET', ABOUT, 'version')
end
return publish(STATE, ABOUT, changed)
