-- Before every script here: the server's clock, and whose turn a free place in a style's live window is.

-- Milliseconds.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The newest stamp that can be true: a later one was set before the clock was set back, and would count until the clock
-- has caught up.
local function newest_stamp(now)
  return now + 1000
end

-- Of the streams that asked since then, and of `first` (may be nil), the one that was served longest ago.
-- KEYS of the style: asking, served.
local function turn(asking, served, since, first)
  local newest = newest_stamp(clock())
  local function served_at(stream)
    local at = tonumber(redis.call('ZSCORE', served, stream) or 0)
    return at <= newest and at or 0
  end
  local longest = first and served_at(first)
  for _, stream in ipairs(redis.call('ZRANGEBYSCORE', asking, since, newest)) do
    local at = served_at(stream)
    if not longest or at < longest then first, longest = stream, at end
  end
  return first
end

-- Keep a free place for `stream` until then, and have it hear so.
local function call(live, asking, stream, channel, held_at)
  redis.call('ZREM', asking, stream)
  redis.call('ZADD', live, held_at, stream)
  redis.call('PUBLISH', channel, stream)
end

