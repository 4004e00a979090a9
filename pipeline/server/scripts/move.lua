-- The end of a launcher's turn: its move is noted, if the turn is still its own, and the next launcher may look.
-- KEYS: rebalance, moves.  ARGV: token, "old new" ("": no move), how long the move counts (ms).
-- Returns 1 when the move may be carried out. Asked again after a lost reply it says the same.
if ARGV[2] ~= '' and redis.call('ZSCORE', KEYS[2], ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[2] == '' then return 0 end
local now = clock()
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[3]), ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
