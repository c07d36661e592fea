-- Takes one of a limit, by the generic cell rate algorithm; see RateLimit::take in the domain.
-- KEYS  1 string: when all that was taken has run out, in ms
-- ARGV  1 now in ms, 2 how long it takes until one more may be taken, in ms, 3 how many may be taken at once
-- Reply 0 if it was taken, otherwise after how many ms the next may be
-- Cost  O(1)
local now, every, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local empty_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + every
local over = empty_at - every * burst - now
if over > 0 then
  return over
end
-- The key goes when it limits nothing any more.
redis.call('SET', KEYS[1], string.format('%.0f', empty_at), 'PX', string.format('%.0f', empty_at - now))
return 0
