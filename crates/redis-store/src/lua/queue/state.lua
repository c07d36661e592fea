-- The state of a queue token.
-- KEYS and ARGV  see queue.lua and token.lua
-- Reply {name, detail}, see token.lua
-- Cost  O(log max_active)
return token_state()
