-- Issues a queue token to a user, or returns the one they have. Either way the user counts as seen.
-- KEYS  see queue.lua
-- ARGV  1 user, 2 lane, 3 '1' if a new token may be issued, 4 now in ms, 5 presence period, 6 how long to keep its bitmap
--       in ms, 7 '1' if the user needs an accessible seat, 8 lane, 9 index, 10 number, 11 count of the draw of the user's
--       token, or '' if the caller does not know them
-- Reply {'joined', epoch, lane, index, time of issue in ms, 'a' if the user needs an accessible seat or '', lane:index of the
--       token that it replaces or ''}, {'lost'}, {'none'}, {'spent'}, or {'number', the same without the last, count of the draw}
-- Cost  O(log max_active)

-- The reply. `find_repeat` may be nil; with the epoch of the queue it returns the reply to a request that was made before, or nil.
local function join(find_repeat)
  local user, lane, may_enter, now = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])

  local queue = read_queue('epoch', 'tail:' .. lane, 'limit:' .. lane)
  if not queue then
    return {'lost'}
  end
  local epoch, is_spent = queue[2], queue[3] and tonumber(queue[3]) >= tonumber(queue[4])
  local before = find_repeat and find_repeat(epoch)
  if before then
    return before
  end

  local function see(seen_lane, number)
    local seen = seen_in(seen_lane, ARGV[5])
    redis.call('SETBIT', seen, number, 1)
    redis.call('PEXPIRE', seen, ARGV[6])
  end

  local replaced = ''
  local member = redis.call('HGET', MEMBERS, user)
  if member then
    local own_lane, index, issued_at, need = read_member(member)
    local fields = redis.call('HMGET', QUEUE, 'head:' .. own_lane, 'drawn:' .. own_lane, 'frozen:' .. own_lane)
    local head, number = tonumber(fields[1]), index
    if fields[2] and tonumber(index) <= tonumber(fields[2]) then
      if ARGV[8] ~= own_lane or ARGV[9] ~= index or ARGV[11] ~= fields[2] then
        return {'number', epoch, own_lane, index, issued_at, need, fields[2]}
      end
      number = ARGV[10]
    end
    local state = number_state(own_lane, number, head, now)
    if state[1] ~= 'ended' then
      local moves = lane ~= '0' and lane ~= own_lane and may_enter and queue[3] and state[1] == 'waiting' and not fields[3]
      if not moves then
        see(own_lane, number)
        return {'joined', epoch, own_lane, index, issued_at, need, ''}
      end
      if is_spent then
        return {'spent'}
      end
      end_waiting(own_lane, number, head, 'm')
      count('left', 1)
      replaced = own_lane .. ':' .. index
    end
  end
  if not may_enter or not queue[3] then
    return {'none'}
  end
  if is_spent then
    return {'spent'}
  end
  local index = whole(redis.call('HINCRBY', QUEUE, 'tail:' .. lane, 1))
  local needs_accessible = ARGV[7] == '1'
  redis.call('HSET', MEMBERS, user, member_of(lane, index, ARGV[4], needs_accessible))
  if needs_accessible then
    redis.call('SETBIT', of_lane('gone', lane), index, 1)
    redis.call('SETBIT', of_lane('accessible', lane), index, 1)
  end
  see(lane, index)
  return {'joined', epoch, lane, index, ARGV[4], needs_accessible and 'a' or '', replaced}
end
