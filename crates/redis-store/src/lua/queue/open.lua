-- Opens a new queue or restores a lost one, unless it is open.
-- KEYS  see queue.lua
-- ARGV  1 epoch, 2 '1' if it draws, 3 now in ms, 4 quiet until in ms, 5 reserved, 6 reserved until in ms, 7 '1' if it was
--       lost, 8 the most lanes that a queue can have, 9 the number of its lanes; for each lane 10… head, the number after
--       which all numbers are unseen, tail, count of the draw or '', bitmap of the gone, bitmap of the unseen, reasons;
--       then for each fan who is called or active lane:number, deadline in ms, '1' if active, '1' if the fan needs an
--       accessible seat
-- Reply 1 if it was opened now, 0 if it was open before
-- Cost  O(tail / 8 + max_active)
if read_queue() then
  return 0
end
redis.call('UNLINK', QUEUE, MEMBERS, CALLED, ACTIVE, TRIES, INSIDE_ACCESSIBLE, PACE, QUEUE .. ':requests')
for lane = 0, tonumber(ARGV[8]) - 1 do
  redis.call('UNLINK', of_lane('gone', lane), of_lane('unseen', lane), of_lane('reasons', lane), of_lane('late', lane),
    of_lane('accessible', lane))
end
-- Joins read the first fields, so these come first in the hash.
local collects = ARGV[2] == '1' and ARGV[13] == ''
redis.call('HSET', QUEUE, 'home', home(), 'epoch', ARGV[1], 'collects', collects and 1 or 0, 'draws', ARGV[2],
  'restored_at', ARGV[3], 'quiet_until', ARGV[4], 'reserved', ARGV[5], 'reserved_until', ARGV[6], 'lanes', ARGV[9], 'turn', 0)
if ARGV[7] == '1' then
  redis.call('HSET', QUEUE, 'level', 0, 'at_ms', ARGV[3], 'period_ms', 1, 'recovering', 1)
end
local at = 10
for lane = 0, tonumber(ARGV[9]) - 1 do
  local head, unseen_after, tail, drawn, gone, unseen, reasons = unpack(ARGV, at, at + 6)
  at = at + 7
  redis.call('HSET', QUEUE, 'head:' .. lane, head, 'tail:' .. lane, tail, 'base:' .. lane, tail, 'limit:' .. lane, tail,
    'pass:' .. lane, 0, 'called:' .. lane, 0, 'unseen_after:' .. lane, unseen_after)
  if drawn ~= '' then
    redis.call('HSET', QUEUE, 'drawn:' .. lane, drawn)
  end
  for name, bytes in pairs({gone = gone, unseen = unseen, reasons = reasons}) do
    if bytes ~= '' then
      redis.call('SET', of_lane(name, lane), bytes)
    end
  end
end
for i = at, #ARGV, 4 do
  redis.call('ZADD', ARGV[i + 2] == '1' and ACTIVE or CALLED, ARGV[i + 1], ARGV[i])
  if ARGV[i + 3] == '1' then
    redis.call('ZADD', INSIDE_ACCESSIBLE, ARGV[i + 1], ARGV[i])
  end
end
return 1
