-- The end of a frame: out of flight, its bytes freed, its painting (or tombstone) in the painted stream, waiters woken.
-- In this order it passes at maxmemory, where publishing is what frees memory.
-- KEYS: inflight, frame, painted, stream.
-- ARGV: seq, the deadline held ("" accepts any), wake-up channel, then the entry's own fields and values.
-- Returns 1, or 0 for a duplicate.
if ARGV[2] ~= '' then
  local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
end
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  redis.pcall('HINCRBY', KEYS[4], 'duplicates', 1)
  return 0
end
redis.call('DEL', KEYS[2])
local maxlen = redis.call('HGET', KEYS[4], 'maxlen')
if not maxlen then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('XADD', KEYS[3], 'MAXLEN', '=', maxlen, '*', 'seq', ARGV[1], 'published', now, unpack(ARGV, 4))
redis.call('PUBLISH', ARGV[3], ARGV[1])
return 1
