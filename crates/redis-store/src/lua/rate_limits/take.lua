-- Takes one of a limit, by the generic cell rate algorithm; see RateLimit::take in the domain.
-- KEYS  1 string: when all that was taken has run out, in ms
-- ARGV  1 now in ms, 2 how long it takes until one more may be taken, in ms, 3 how many may be taken at once
-- Reply 0 if it was taken, otherwise after how many ms the next may be
-- Cost  O(1)
local now, every, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local empty_at = now
local stored = redis.call('GET', KEYS[1])
if stored then
  -- An instance whose clock is ahead may have written a time that is far away. The key lives as long as it should limit anybody, by
  -- the clock of Redis, so no more than that is left, with a second for clocks that differ a little.
  local ahead = math.min(tonumber(stored) - now, redis.call('PTTL', KEYS[1]) + 1000)
  empty_at = now + math.max(ahead, 0)
end
empty_at = empty_at + every
local over = empty_at - every * burst - now
if over > 0 then
  return over
end
-- The key goes when it limits nothing any more.
redis.call('SET', KEYS[1], string.format('%.0f', empty_at), 'PX', string.format('%.0f', empty_at - now))
return 0
