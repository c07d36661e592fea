-- Put before the scripts about one place.
-- ARGV  1 epoch, 2 lane, 3 index, 4 number, 5 of how many drawn, 6 now in ms, 7 user, 8 until when in ms it was admitted or '', then the
--       script's own
local EPOCH, LANE, INDEX, NUMBER, DRAWN_OF = unpack(ARGV, 1, 5)
local NOW, USER, ADMITTED_UNTIL = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local INSIDE = LANE .. ':' .. NUMBER
local head, is_frozen

-- The state of the place as number_state tells it, or {'lost'}, or {'drawn', of how many}: over if it was not given out in this
-- run of the queue.
local function place_state()
  local queue = in_place('epoch', 'head:' .. LANE, 'tail:' .. LANE, 'drawn:' .. LANE, 'frozen:' .. LANE)
  if not queue then
    return {'lost', ''}
  end
  local index = tonumber(INDEX)
  if queue[2] ~= EPOCH or not queue[4] or index < 1 or index > tonumber(queue[4]) then
    return {'ended', 'r'}
  end
  if is_of_another_draw(INDEX, DRAWN_OF, queue[5]) then
    return {'drawn', queue[5] or ''}
  end
  head = tonumber(queue[3])
  is_frozen = queue[6] and index <= tonumber(queue[6])
  return number_state(LANE, NUMBER, head, NOW, ADMITTED_UNTIL)
end

-- The same for those who would change it, or {'drawing'}.
local function state_to_change()
  local state = place_state()
  if is_frozen then
    return {'drawing', ''}
  end
  return state
end
