-- The end of a frame: out of flight, its bytes freed, its painting (or tombstone) in the painted stream. A live frame's
-- place is kept, while an asking counts, for the stream whose turn it is, which hears its name; "" when nobody asked.
-- In this order it passes at maxmemory, where publishing is what frees memory.
-- KEYS: inflight, frame, painted, stream, live, asking, served (the last three of the style).
-- ARGV: seq, the in-flight score it must have ("" accepts any), its place in the live window, wake-up channel, how long a
-- place is held at most and how long an asking counts (ms), time to live (ms; the producer that would see to it may be
-- dead), kind, why it failed ("" when painted), then the entry's own fields and values.
-- Returns 1, or 0 for a duplicate.
local inflight, frame, painted, stream, live, asking, served = unpack(KEYS)
local seq, expected, place, channel, place_ms, asking_ms, life_ms, kind, cause = unpack(ARGV)
local FIRST_FIELD = 10

local now = clock()
if expected ~= '' then
  local score = redis.call('ZSCORE', inflight, seq)
  if not score or tonumber(score) ~= tonumber(expected) then return 0 end
end
if redis.call('ZREM', live, place) == 1 then
  local next_stream = turn(asking, served, now - asking_ms)
  if next_stream then
    call(live, asking, next_stream, channel, now - place_ms + asking_ms)
  else
    redis.call('PUBLISH', channel, '')
  end
end
if redis.call('ZREM', inflight, seq) == 0 then
  if redis.call('EXISTS', stream) == 1 then redis.pcall('HINCRBY', stream, 'duplicates', 1) end
  return 0
end
local maxlen, compare_until = unpack(redis.call('HMGET', stream, 'maxlen', 'compare_until'))
local source = tonumber(compare_until or 0) > now and redis.call('GET', frame) or ''
redis.call('DEL', frame)
if not maxlen then return 0 end
redis.call('HINCRBY', stream, kind, 1)
if cause ~= '' then redis.call('HINCRBY', stream, kind .. ':' .. cause, 1) end
redis.call('XADD', painted, 'MAXLEN', '=', maxlen, '*',
  'seq', seq, 'published', now, 'kind', kind, 'source', source, unpack(ARGV, FIRST_FIELD))
redis.call('PEXPIRE', painted, life_ms)
return 1
