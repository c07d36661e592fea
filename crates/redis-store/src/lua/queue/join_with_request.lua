-- A join that is recognised if it is repeated.
-- KEYS and ARGV  see queue.lua and join.lua; 13 id of the request, 14 its fingerprint
-- Reply as of join.lua, or {'repeat', …} if a request with the id is kept, see requests.lua
-- Cost  as of join.lua
local user, id, fingerprint = ARGV[1], ARGV[13], ARGV[14]
local kept
local reply = join(function(epoch)
  local at
  kept, at = read_requests(user, id)
  return at and repeated(epoch, kept, at)
end)
if reply[1] == 'joined' then
  local _, _, lane, index, issued_at, need = unpack(reply)
  keep_request(user, kept, id, fingerprint, lane, index, issued_at, need == 'a')
end
return reply
