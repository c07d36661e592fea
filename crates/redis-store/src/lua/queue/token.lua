-- Prepended to the scripts about one queue token.
-- ARGV  1 epoch, 2 lane, 3 index, 4 number, 5 count of the draw of the number, 6 now in ms, 7 user, 8 the deadline in ms
--       until which the fan is active according to the token, or ''; then those of the script
local EPOCH, LANE, INDEX, NUMBER, DRAWN = unpack(ARGV, 1, 5)
local NOW, USER, ADMITTED_UNTIL = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])
local LANE_NUMBER = LANE .. ':' .. NUMBER
local head, is_frozen

-- The state of the queue token as number_state returns it, or {'lost'}, or {'drawn', count of the draw}. A token that was not
-- issued in the current epoch has ended.
local function token_state()
  local queue = read_queue('epoch', 'head:' .. LANE, 'tail:' .. LANE, 'drawn:' .. LANE, 'frozen:' .. LANE)
  if not queue then
    return {'lost', ''}
  end
  local index = tonumber(INDEX)
  if queue[2] ~= EPOCH or not queue[4] or index < 1 or index > tonumber(queue[4]) then
    return {'ended', 'r'}
  end
  if is_of_another_draw(INDEX, DRAWN, queue[5]) then
    return {'drawn', queue[5] or ''}
  end
  head = tonumber(queue[3])
  is_frozen = queue[6] and index <= tonumber(queue[6])
  return number_state(LANE, NUMBER, head, NOW, ADMITTED_UNTIL)
end

-- The state of the queue token before a change, or {'drawing'}.
local function state_to_change()
  local state = token_state()
  if is_frozen then
    return {'drawing', ''}
  end
  return state
end
