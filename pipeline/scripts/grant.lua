-- A place in a style's live window, for the asking stream that was served longest ago.
-- KEYS: live, asking, served (all of the style).
-- ARGV: stream, member to put in flight, places, how long a place is held at most (ms), how long an asking counts (ms).
-- Returns 1 when granted, 0 when the stream has to wait.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- What a producer that died left behind.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[4]))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[5]))
redis.call('ZADD', KEYS[2], now, ARGV[1])
for key = 1, 3 do redis.call('PEXPIRE', KEYS[key], 60000) end
-- A client whose reply was lost asks again: it has its place, and must not wait until it runs out.
if redis.call('ZSCORE', KEYS[1], ARGV[2]) then return 1 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
local first, longest = nil, nil
for _, stream in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local served = tonumber(redis.call('ZSCORE', KEYS[3], stream) or 0)
  if not longest or served < longest then first, longest = stream, served end
end
if first ~= ARGV[1] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 60000)
redis.call('ZADD', KEYS[1], now, ARGV[2])
return 1
