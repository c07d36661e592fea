-- Issues a queue token to a user, or returns the one they have. Either way the user counts as seen.
-- KEYS  see queue.lua
-- ARGV  1 user, 2 lane, 3 '1' if a new token may be issued, 4 now in ms, 5 presence period, 6 how long to keep its bitmap
--       in ms, 7 '1' if the user needs an accessible seat, 8 lane, 9 index, 10 number, 11 count of the draw of the user's
--       token, or '' if the caller does not know them, 12 the user's index in the draw of the lane, or '' if the caller does not
--       know it
-- Reply {'joined', epoch, lane, index, time of issue in ms, 'a' if the user needs an accessible seat or '', lane:index of the
--       token that it replaces or ''}, {'lost'}, {'none'}, {'spent'}, {'drawing'}, {'entry', epoch} if the index in the draw is
--       needed, or {'number', as of a join without the last, count of the draw}
-- Cost  O(log max_active)

-- The reply. `find_repeat` may be nil; with the epoch of the queue it returns the reply to a request that was made before, or nil.
local function join(find_repeat)
  local user, lane, may_enter, now, entry = ARGV[1], ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), ARGV[12]

  local queue = read_queue('epoch', 'tail:' .. lane, 'limit:' .. lane, 'collects')
  if not queue then
    return {'lost'}
  end
  local epoch, tail, collects = queue[2], queue[3], queue[5] == '1'
  local lacks_entry, is_spent = false, false
  if collects then
    lacks_entry = entry == ''
  else
    is_spent = tail and tonumber(tail) >= tonumber(queue[4])
  end
  local before = find_repeat and find_repeat(epoch)
  if before then
    return before
  end

  local function see(seen_lane, number)
    local seen = seen_in(seen_lane, ARGV[5])
    redis.call('SETBIT', seen, number, 1)
    redis.call('PEXPIRE', seen, ARGV[6])
  end

  local needs_accessible = ARGV[7] == '1'
  local replaced = ''
  local member = redis.call('HGET', MEMBERS, user)
  -- A user who entered the draw before it was closed, and comes after the queue was frozen.
  local is_late_entry = not member and entry ~= '' and not collects
  if is_late_entry then
    member = member_of(lane, entry, ARGV[4], needs_accessible)
  end
  if member then
    local own_lane, index, issued_at, need = read_member(member)
    local fields = redis.call('HMGET', QUEUE, 'head:' .. own_lane, 'drawn:' .. own_lane, 'frozen:' .. own_lane)
    if is_late_entry and fields[3] then
      return {'drawing'}
    end
    local head, number = tonumber(fields[1]), index
    if fields[2] and tonumber(index) <= tonumber(fields[2]) then
      if ARGV[8] ~= own_lane or ARGV[9] ~= index or ARGV[11] ~= fields[2] then
        return {'number', epoch, own_lane, index, issued_at, need, fields[2]}
      end
      number = ARGV[10]
    end
    local state = number_state(own_lane, number, head, now)
    if state[1] ~= 'ended' and not (is_late_entry and state[1] == 'unseen') then
      local moves = lane ~= '0' and lane ~= own_lane and may_enter and tail and state[1] == 'waiting' and not fields[3]
      if not moves then
        see(own_lane, number)
        if is_late_entry then
          redis.call('HSET', MEMBERS, user, member)
          if need == 'a' and state[1] == 'waiting' and tonumber(number) > head then
            redis.call('SETBIT', of_lane('gone', own_lane), number, 1)
            redis.call('SETBIT', of_lane('accessible', own_lane), number, 1)
          end
        end
        return {'joined', epoch, own_lane, index, issued_at, need, ''}
      end
      if lacks_entry then
        return {'entry', epoch}
      end
      if is_spent then
        return {'spent'}
      end
      end_waiting(own_lane, number, head, 'm')
      count('left', 1)
      replaced = own_lane .. ':' .. index
    end
  end
  if not may_enter or not tail then
    return {'none'}
  end
  if lacks_entry then
    return {'entry', epoch}
  end
  if is_spent then
    return {'spent'}
  end
  local index = entry
  if not collects then
    index = whole(redis.call('HINCRBY', QUEUE, 'tail:' .. lane, 1))
  elseif tonumber(index) > tonumber(tail) then
    redis.call('HSET', QUEUE, 'tail:' .. lane, index)
  else
    -- The fan left or moved, or was not seen since the queue was restored.
    for _, name in ipairs({'gone', 'unseen', 'accessible'}) do
      if redis.call('GETBIT', of_lane(name, lane), index) == 1 then
        redis.call('SETBIT', of_lane(name, lane), index, 0)
      end
    end
    local reason = redis.call('GETRANGE', of_lane('reasons', lane), index, index)
    if reason ~= '' and reason ~= '\0' then
      redis.call('SETRANGE', of_lane('reasons', lane), index, '\0')
    end
  end
  redis.call('HSET', MEMBERS, user, member_of(lane, index, ARGV[4], needs_accessible))
  if needs_accessible then
    redis.call('SETBIT', of_lane('gone', lane), index, 1)
    redis.call('SETBIT', of_lane('accessible', lane), index, 1)
  end
  see(lane, index)
  return {'joined', epoch, lane, index, ARGV[4], needs_accessible and 'a' or '', replaced}
end
