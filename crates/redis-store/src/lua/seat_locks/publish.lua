-- Prepended to the scripts that change seats.
-- publish(STATE, ABOUT, changed): increments the version, publishes the change, and returns the version as digits, since Lua
-- would round a number of this size. `changed` has one word per seat: its slot and its byte. A change of more than 100 seats
-- is published as `*`. The channel is the key of the state with the suffix `:changes`, so it has the hash tag of the
-- performance.
-- Cost  O(changed) for each instance that subscribes
local function digits(version)
  return string.format('%.0f', version)
end

local function publish(STATE, ABOUT, changed)
  local version = digits(redis.call('HINCRBY', ABOUT, 'version', 1))
  local seats = '*'
  if #changed <= 100 then
    seats = table.concat(changed, ' ')
  end
  redis.call('PUBLISH', STATE .. ':changes', version .. ' ' .. seats)
  return version
end

