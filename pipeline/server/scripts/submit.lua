-- A frame, its in-flight entry and its ticket, together. Refused as a whole at maxmemory (SET comes first).
-- KEYS: frame, inflight, queue.
-- ARGV: document, seq, time to live (ms), the score a resend expects to find ("" for a first send), ticket.
-- Returns the server's time in ms, or 0 when the frame is not any more where the resend believed it.
local now = clock()
if ARGV[4] ~= '' then
  local score = redis.call('ZSCORE', KEYS[2], ARGV[2])
  if not score or tonumber(score) ~= tonumber(ARGV[4]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('ZADD', KEYS[2], -now, ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('LPUSH', KEYS[3], ARGV[5])
return now
