-- Put before the scripts that change seats.
-- tell(STATE, ABOUT, changed): counts a change, tells it to those who listen, and returns its version as digits, since Lua
-- would round it when it writes it. `changed` has one word per seat: its slot and its byte. More than 100 are told as `*`:
-- something has changed. The channel is the state's key with `:changes` behind it, and so has the performance's hash tag.
-- Cost  O(changed), once per instance that listens
local function digits(version)
  return string.format('%.0f', version)
end

local function tell(STATE, ABOUT, changed)
  local version = digits(redis.call('HINCRBY', ABOUT, 'version', 1))
  local told = '*'
  if #changed <= 100 then
    told = table.concat(changed, ' ')
  end
  redis.call('PUBLISH', STATE .. ':changes', version .. ' ' .. told)
  return version
end

