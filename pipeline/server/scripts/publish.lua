-- The end of a frame: out of flight, its bytes freed, its painting (or tombstone) in the painted stream. A live frame's
-- place is kept, while an asking counts, for the stream whose turn it is, which hears its name; "" when nobody asked.
-- In this order it passes at maxmemory, where publishing is what frees memory.
-- KEYS: inflight, frame, painted, stream, live, asking, served (the last three of the style).
-- ARGV: seq, the in-flight score it must have ("" accepts any), the live window's member, wake-up channel, how long a
-- place is held at most and how long an asking counts (ms), time to live (ms; the producer that would see to it may be
-- dead), kind, why it failed ("" when painted), then the entry's own fields and values.
-- Returns 1, or 0 for a duplicate.
local now = clock()
if ARGV[2] ~= '' then
  local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
  if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
end
if redis.call('ZREM', KEYS[5], ARGV[3]) == 1 then
  local stream = turn(KEYS[6], KEYS[7], now - tonumber(ARGV[6]))
  if stream then
    call(KEYS[5], KEYS[6], stream, ARGV[4], now - ARGV[5] + ARGV[6])
  else
    redis.call('PUBLISH', ARGV[4], '')
  end
end
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then
  if redis.call('EXISTS', KEYS[4]) == 1 then redis.pcall('HINCRBY', KEYS[4], 'duplicates', 1) end
  return 0
end
local facts = redis.call('HMGET', KEYS[4], 'maxlen', 'compare_until')
local source = tonumber(facts[2] or 0) > now and redis.call('GET', KEYS[2]) or ''
redis.call('DEL', KEYS[2])
if not facts[1] then return 0 end
redis.call('HINCRBY', KEYS[4], ARGV[8], 1)
if ARGV[9] ~= '' then redis.call('HINCRBY', KEYS[4], ARGV[8] .. ':' .. ARGV[9], 1) end
redis.call('XADD', KEYS[3], 'MAXLEN', '=', facts[1], '*',
  'seq', ARGV[1], 'published', now, 'kind', ARGV[8], 'source', source, unpack(ARGV, 10))
redis.call('PEXPIRE', KEYS[3], ARGV[7])
return 1
