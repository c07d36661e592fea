-- Holds free seats, all or none.
-- KEYS  1 state, 2 about, 3 owners, 4 deadlines
-- ARGV  1 owner, 2 deadline in ms, 3… slots, ascending, none twice
-- Reply nil if not loaded, or {version, {slots that are taken}}: taken by this very owner, all of them, is no refusal
-- Cost  O(slots); a hold has at most 8
local STATE, ABOUT, OWNERS, DEADLINES = unpack(KEYS)
local owner, deadline = ARGV[1], ARGV[2]
local wanted = #ARGV - 2

if redis.call('EXISTS', STATE) == 0 then
  return false
end

local taken, own = {}, 0
for i = 3, #ARGV do
  local byte = redis.call('GETRANGE', STATE, ARGV[i], ARGV[i])
  if byte ~= 'a' then
    taken[#taken + 1] = tonumber(ARGV[i])
    if byte == 'h' and redis.call('HGET', OWNERS, ARGV[i]) == owner then
      own = own + 1
    end
  end
end
if own == wanted then
  for i = 3, #ARGV do
    redis.call('ZADD', DEADLINES, deadline, ARGV[i])
  end
  return {redis.call('HGET', ABOUT, 'version'), {}}
end
if #taken > 0 then
  return {redis.call('HGET', ABOUT, 'version'), taken}
end

local changed = {}
for i = 3, #ARGV do
  changed[#changed + 1] = ARGV[i] .. 'h'
  redis.call('SETRANGE', STATE, ARGV[i], 'h')
  redis.call('HSET', OWNERS, ARGV[i], owner)
  redis.call('ZADD', DEADLINES, deadline, ARGV[i])
end
redis.call('HINCRBY', ABOUT, 'free', -wanted)
redis.call('HINCRBY', ABOUT, 'held', wanted)
return {tell(STATE, ABOUT, changed), {}}
