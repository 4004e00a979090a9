-- A frame, its in-flight entry and its ticket, together. Refused as a whole at maxmemory (SET comes first).
-- KEYS: frame, inflight, queue.
-- ARGV: document, seq, time to live (ms), the score a resend expects to find ("" for a first send), ticket.
-- Returns the server's time in ms, or 0 when the frame is not any more where the resend believed it.
local frame, inflight, queue = unpack(KEYS)
local document, seq, life_ms, expected, ticket = unpack(ARGV)

local now = clock()
if expected ~= '' then
  local score = redis.call('ZSCORE', inflight, seq)
  if not score or tonumber(score) ~= tonumber(expected) then return 0 end
end
redis.call('SET', frame, document, 'PX', life_ms)
redis.call('ZADD', inflight, -now, seq)
redis.call('PEXPIRE', inflight, life_ms)
redis.call('LPUSH', queue, ticket)
-- Tickets of a producer that is gone go, too; one that waits for a worker says so again (`open_stream`).
redis.call('PEXPIRE', queue, life_ms)
return now
