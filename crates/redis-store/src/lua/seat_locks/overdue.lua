-- The held seats whose deadline has passed, oldest first.
-- KEYS  1 owners, 2 deadlines
-- ARGV  1 the latest deadline in ms, 2 the most seats to return, up to 1,000
-- Reply {{slot, owner, deadline in ms}, …}
-- Cost  O(log held + reply)
local OWNERS, DEADLINES = unpack(KEYS)

local due = redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[2])
local seats = {}
for i = 1, #due, 2 do
  seats[#seats + 1] = {due[i], redis.call('HGET', OWNERS, due[i]), due[i + 1]}
end
return seats
