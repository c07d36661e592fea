-- The state of a place.
-- KEYS and ARGV  see line.lua and place.lua
-- Reply {name, detail}, see place.lua
-- Cost  O(log cap)
return place_state()
