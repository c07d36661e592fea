-- Issues drawn numbers. Bitmaps and reasons up to the count of the draw were stored by join index, and are stored by number
-- from now on. For indexes after the count, number and index are the same. All numbers count as seen.
-- KEYS  see queue.lua
-- ARGV  1 presence period, 2 how long to keep its bitmap in ms; for each lane 3… count, bitmap of the gone numbers, bitmap
--       of the unseen numbers, bitmap of the waiting numbers that need an accessible seat, reasons, each as long as the
--       count needs
-- Reply 1, or 0 if the numbers were drawn before or the queue does not draw, or -1 if the queue is lost
-- Cost  O(tail / 8), and O(count) for the reasons if a number has one
local queue = read_queue('lanes', 'draws', 'drawn:0')
if not queue then
  return -1
end
if queue[3] ~= '1' or queue[4] then
  return 0
end

-- Replaces the bits of a key up to `joined`, and keeps those after it.
local function replace_bits(key, drawn, joined)
  local last_byte = math.floor(joined / 8)
  local later = redis.call('GETRANGE', key, last_byte + 1, -1)
  local kept = {}
  for number = joined + 1, last_byte * 8 + 7 do
    kept[number] = redis.call('GETBIT', key, number)
  end
  redis.call('SET', key, drawn .. later)
  for number, bit in pairs(kept) do
    redis.call('SETBIT', key, number, bit)
  end
end

for lane = 0, tonumber(queue[2]) - 1 do
  local joined, gone, unseen, accessible, reasons = unpack(ARGV, 3 + lane * 5, 7 + lane * 5)
  joined = tonumber(joined)
  replace_bits(of_lane('gone', lane), gone, joined)
  replace_bits(of_lane('unseen', lane), unseen, joined)
  if accessible ~= '' or redis.call('EXISTS', of_lane('accessible', lane)) == 1 then
    accessible = accessible ~= '' and accessible or string.rep('\0', math.floor(joined / 8) + 1)
    replace_bits(of_lane('accessible', lane), accessible, joined)
  end
  local later = redis.call('GETRANGE', of_lane('reasons', lane), joined + 1, -1)
  if reasons ~= '' or later ~= '' then
    redis.call('SET', of_lane('reasons', lane), reasons .. string.rep('\0', joined + 1 - #reasons) .. later)
  else
    redis.call('DEL', of_lane('reasons', lane))
  end
  local fields = redis.call('HMGET', QUEUE, 'tail:' .. lane, 'limit:' .. lane)
  local tail, limit = math.max(tonumber(fields[1]), joined), math.max(tonumber(fields[2]), joined)
  redis.call('HINCRBY', QUEUE, 'base:' .. lane, whole(tail - tonumber(fields[1])))
  redis.call('HSET', QUEUE, 'tail:' .. lane, whole(tail), 'limit:' .. lane, whole(limit), 'drawn:' .. lane, whole(joined))
  redis.call('HDEL', QUEUE, 'frozen:' .. lane)
  redis.call('SET', seen_in(lane, ARGV[1]), string.rep('\255', math.floor(tail / 8) + 1), 'PX', ARGV[2])
end
return 1
