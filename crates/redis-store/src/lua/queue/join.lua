-- Gives a user a place, or the one they have; either way they have been seen.
-- KEYS  see queue.lua
-- ARGV  1 user, 2 lane, 3 '1' if a place may be given out, 4 now in ms, 5 presence period, 6 ms to keep its bitmap,
--       7 lane, 8 index, 9 number, 10 of how many drawn of the place that the user is known to have, or ''
-- Reply {'joined', epoch, lane, index}, {'lost'}, {'none'}, {'spent'}, or {'number', epoch, lane, index, of how many drawn}
-- Cost  O(log maximum)
local user, lane, may_enter, now = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])

local queue = in_place('epoch', 'tail:' .. lane, 'limit:' .. lane)
if not queue then
  return {'lost'}
end
local epoch, is_spent = queue[2], queue[3] and tonumber(queue[3]) >= tonumber(queue[4])

local function see(of, number)
  local seen = seen_in(of, ARGV[5])
  redis.call('SETBIT', seen, number, 1)
  redis.call('PEXPIRE', seen, ARGV[6])
end

local member = redis.call('HGET', MEMBERS, user)
if member then
  local of, index = string.match(member, '^(%d+):(%d+)$')
  local its = redis.call('HMGET', QUEUE, 'head:' .. of, 'drawn:' .. of, 'frozen:' .. of)
  local head, number = tonumber(its[1]), index
  if its[2] and tonumber(index) <= tonumber(its[2]) then
    if ARGV[7] ~= of or ARGV[8] ~= index or ARGV[10] ~= its[2] then
      return {'number', epoch, of, index, its[2]}
    end
    number = ARGV[9]
  end
  local state = number_state(of, number, head, now)
  if state[1] ~= 'ended' then
    local moves = lane ~= '0' and lane ~= of and may_enter and queue[3] and state[1] == 'waiting' and not its[3]
    if not moves then
      see(of, number)
      return {'joined', epoch, of, index}
    end
    if is_spent then
      return {'spent'}
    end
    end_waiting(of, number, head, 'm')
    count('left', 1)
  end
end
if not may_enter or not queue[3] then
  return {'none'}
end
if is_spent then
  return {'spent'}
end
local index = whole(redis.call('HINCRBY', QUEUE, 'tail:' .. lane, 1))
redis.call('HSET', MEMBERS, user, lane .. ':' .. index)
see(lane, index)
return {'joined', epoch, lane, index}
