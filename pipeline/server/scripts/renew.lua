-- Move a lease's deadline, if it is still the caller's own.
-- KEYS: inflight, and of a frame handed back because its painting failed: failures.
-- ARGV: seq, the deadline held, lease (ms; 0 gives the frame back: overdue at once), time to live (ms), then of a
-- failed painting "seq worker" and the reason.
-- Returns the new deadline, or 0 when the frame is not the caller's any more.
local inflight, failures = unpack(KEYS)
local seq, held, lease_ms, life_ms, failure, reason = unpack(ARGV)

local score = redis.call('ZSCORE', inflight, seq)
if not score or tonumber(score) ~= tonumber(held) then return 0 end
local deadline = tonumber(lease_ms) > 0 and clock() + lease_ms or 1
redis.call('ZREM', inflight, seq)
redis.call('ZADD', inflight, deadline, seq)
redis.call('PEXPIRE', inflight, life_ms)
if failures then
  redis.call('HSET', failures, failure, reason)
  redis.call('PEXPIRE', failures, life_ms)
end
return deadline
