-- The end of a launcher's turn: its move is noted, if the turn is still its own, and the next launcher may look.
-- KEYS: rebalance, moves.  ARGV: token, "old new" ("": no move), how long the move counts (ms).
-- Returns 1 when the move may be carried out. Asked again after a lost reply it says the same.
local rebalance, moves = unpack(KEYS)
local token, move, counts_ms = unpack(ARGV)

if move ~= '' and redis.call('ZSCORE', moves, move) then return 1 end
if redis.call('GET', rebalance) ~= token then return 0 end
redis.call('DEL', rebalance)
if move == '' then return 0 end
redis.call('ZADD', moves, clock() + counts_ms, move)
redis.call('PEXPIRE', moves, counts_ms)
return 1
