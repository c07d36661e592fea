-- Gives locks up, unless somebody else has them by now.
-- KEYS  the locks
-- ARGV  1 owner
-- Reply how many were given up
-- Cost  O(keys)
local freed = 0
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then
    freed = freed + redis.call('DEL', key)
  end
end
return freed
