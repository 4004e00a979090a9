-- Move a lease's deadline, if it is still the caller's own.
-- KEYS: inflight, and of a frame handed back because its painting failed: failures.
-- ARGV: seq, the deadline held, lease (ms; 0 gives the frame back: overdue at once), time to live (ms), then of a
-- failed painting "seq worker" and the reason.
-- Returns the new deadline, or 0 when the frame is not the caller's any more.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then return 0 end
local now = clock()
local deadline = tonumber(ARGV[3]) > 0 and now + tonumber(ARGV[3]) or 1
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], deadline, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if KEYS[2] then
  redis.call('HSET', KEYS[2], ARGV[5], ARGV[6])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return deadline
