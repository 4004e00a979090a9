-- One frame for one worker. ZREM before ZADD: a script that has written already may go on writing at maxmemory.
-- KEYS: inflight, frame.  ARGV: seq, lease (ms), time to live (ms): with its last member a key loses what it had.
-- Returns {} when there is nothing to do (published, given up, dead stream, or held by another), else
-- {sent, now, lease deadline, document}. A frame whose bytes are gone is handed back to its producer (score 1: overdue).
local inflight, frame = unpack(KEYS)
local seq, lease_ms, life_ms = unpack(ARGV)

local score = redis.call('ZSCORE', inflight, seq)
if not score then return {} end
score = tonumber(score)
local now = clock()
if score > now then return {} end
local document = redis.call('GET', frame)
local deadline = document and now + lease_ms or 1
redis.call('ZREM', inflight, seq)
redis.call('ZADD', inflight, deadline, seq)
redis.call('PEXPIRE', inflight, life_ms)
if not document then return {} end
local sent = score < 0 and -score or now
return {sent, now, deadline, document}
