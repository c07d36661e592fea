-- A join without the id of a request.
-- KEYS, ARGV and reply  see queue.lua and join.lua
return join()
