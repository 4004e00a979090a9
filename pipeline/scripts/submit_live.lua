-- A live frame, its in-flight entry and its ticket, with the counters that go with it: their sum holds at every moment.
-- KEYS: frame, inflight, stream, queue (without one no ticket is queued).
-- ARGV: document, seq, time to live (ms), frames captured and frames dropped since the last call, width, height, ticket.
-- Returns {style, strength, keep_colours} as wished for the next frame, or {} when the server does not know the stream.
if redis.call('HEXISTS', KEYS[3], 'maxlen') == 0 then return {} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
-- A client whose reply was lost asks again: what is in flight already is not counted twice.
if redis.call('ZADD', KEYS[2], -now, ARGV[2]) == 1 then
  redis.call('HINCRBY', KEYS[3], 'captured', ARGV[4])
  redis.call('HINCRBY', KEYS[3], 'dropped', ARGV[5])
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('HSET', KEYS[3], 'width', ARGV[6], 'height', ARGV[7])
if KEYS[4] then redis.call('LPUSH', KEYS[4], ARGV[8]) end
return redis.call('HMGET', KEYS[3], 'style', 'strength', 'keep_colours')
