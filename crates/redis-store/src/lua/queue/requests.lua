-- Prepended to the scripts that recognise a repeated request. The hash REQUESTS has the latest requests of each user, the oldest
-- first. A request is 51 bytes: its id (16), its fingerprint (17), and of the token that it gave out the lane (1), the index (8), the
-- time of issue in ms (8), and 1 if the user needs an accessible seat (1). The index is 0 for a request to leave.
local REQUESTS = QUEUE .. ':requests'
local REQUEST_BYTES, REQUESTS_KEPT = 51, 4

-- The kept requests of a user, and where the one with this id begins, or nil.
local function read_requests(user, id)
  local kept = redis.call('HGET', REQUESTS, user) or ''
  for at = 1, #kept, REQUEST_BYTES do
    if string.sub(kept, at, at + 15) == id then
      return kept, at
    end
  end
  return kept
end

-- Adds a request to the kept ones of its user. The oldest is dropped.
local function keep_request(user, kept, id, fingerprint, lane, index, issued_at, needs_accessible)
  local request = struct.pack('>c16c17BI8I8B', id, fingerprint, lane, index, issued_at, needs_accessible and 1 or 0)
  redis.call('HSET', REQUESTS, user, string.sub(kept .. request, -REQUEST_BYTES * REQUESTS_KEPT))
end

-- The fingerprint of a kept request.
local function fingerprint_at(kept, at)
  return string.sub(kept, at + 16, at + 32)
end

-- The reply about a kept request: {'repeat', epoch, lane, index, time of issue in ms, 'a' if the user needs an accessible seat or
-- '', fingerprint}.
local function repeated(epoch, kept, at)
  local lane, index, issued_at, needs_accessible = struct.unpack('>BI8I8B', kept, at + 33)
  local need = needs_accessible == 1 and 'a' or ''
  return {'repeat', epoch, whole(lane), whole(index), whole(issued_at), need, fingerprint_at(kept, at)}
end
