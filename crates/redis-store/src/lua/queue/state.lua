-- The state of a place.
-- KEYS and ARGV  see queue.lua and place.lua
-- Reply {name, detail}, see place.lua
-- Cost  O(log maximum)
return place_state()
