-- Keeps the request of a user who is about to leave, unless it is kept.
-- KEYS and ARGV  see queue.lua and token.lua; 9 id of the request, 10 its fingerprint, or '' and ''; 11 when the token was issued, in
--       ms
-- Reply {name, detail, fingerprint of the kept request with this id or ''}, see token.lua for the first two
-- Cost  O(log max_active)
local id, fingerprint = ARGV[9], ARGV[10]
local state = state_to_change()
state[3] = ''
local member = redis.call('HGET', MEMBERS, USER)
if member and is_of_member(member, LANE, INDEX) then
  local _, _, issued_at = read_member(member)
  if tonumber(issued_at) > tonumber(ARGV[11]) then
    -- The user left a queue that collects, and entered again under the same index.
    state = {'ended', 'l', ''}
  end
end
local is_refused = {lost = true, drawn = true, drawing = true, unseen = true}
if id == '' or is_refused[state[1]] then
  return state
end
local kept, at = read_requests(USER, id)
if at then
  state[3] = fingerprint_at(kept, at)
else
  keep_request(USER, kept, id, fingerprint, LANE, 0, 0)
end
return state
