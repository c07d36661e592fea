-- Finds the queue token that an earlier request of a user to join gave out.
-- KEYS  see queue.lua
-- ARGV  1 user, 2 id of the request
-- Reply {'repeat', …}, see requests.lua, or {} if the request is not kept or the queue is lost
-- Cost  O(1)
local queue = read_queue('epoch')
if not queue then
  return {}
end
local kept, at = read_requests(ARGV[1], ARGV[2])
return at and repeated(queue[2], kept, at) or {}
