-- A live frame and its place in the style's live window: frame, in-flight entry, ticket and counters together, in one
-- round trip, or nothing of it and the stream asks for a place. The counters' sum holds at every moment.
-- KEYS: frame, inflight, stream, live, asking, served (the last three of the style), queue (of a frame).
-- ARGV: document ("" only asks), seq, frames dropped since the stream began, the same by cause, width, height, stream,
-- places, time to live (ms), how long a place is held at most (ms), how long an asking counts (ms), wake-up channel,
-- ticket (of a frame).
-- Returns {state, 1 when the stream's next frame would find a place now, newest seq in flight, style, strength,
-- keep_colours and brush as wished for the next frame}. States: `unknown`, the server does not know the stream; `wait`; `sent`;
-- `had`, such a frame came before: a client whose reply was lost asks again, and nothing is counted twice.
local facts = redis.call('HMGET', KEYS[3], 'maxlen', 'seq', 'dropped', 'style', 'strength', 'keep_colours',
  'brush')
if not facts[1] then return {'unknown', 0, -1} end
local now, stream, places = clock(), ARGV[7], tonumber(ARGV[8])
-- What is older a producer that died left behind.
local held, asked = now - tonumber(ARGV[10]), now - tonumber(ARGV[11])
-- Nothing is written before SET: at maxmemory that refuses the whole, but goes on once a script has written.
local is_free = redis.call('ZCOUNT', KEYS[4], held, '+inf') < places
local newest = tonumber(facts[2] or -1)
if ARGV[1] ~= '' and tonumber(ARGV[2]) <= newest then
  return {'had', is_free and 1 or 0, newest, unpack(facts, 4)}
end
-- Streams before `last` whose turn a free place is wait for a call: two that each found it the other's turn would wait
-- for ever, with places free (21 of 50 frames a second). Returns whether a place is left.
local function call_others(last)
  while redis.call('ZCOUNT', KEYS[4], held, '+inf') < places do
    local first = turn(KEYS[5], KEYS[6], asked, last)
    if not first or first == last then return true end
    call(KEYS[4], KEYS[5], first, ARGV[12], held + ARGV[11])
  end
  return false
end

-- A place that came back and was kept for this stream.
local kept = tonumber(redis.call('ZSCORE', KEYS[4], stream) or 0) >= held
is_free = kept or (is_free and turn(KEYS[5], KEYS[6], asked, stream) == stream)
if ARGV[1] == '' or not is_free then
  redis.call('ZADD', KEYS[5], now, stream)
  is_free = kept or call_others(stream)
  redis.call('PEXPIRE', KEYS[5], 60000)
  return {'wait', is_free and 1 or 0, newest, unpack(facts, 4)}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[9])
redis.call('ZADD', KEYS[2], -now, ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[9])
redis.call('HINCRBY', KEYS[3], 'captured', ARGV[3] - (facts[3] or 0) + 1)
redis.call('HSET', KEYS[3], 'seq', ARGV[2], 'dropped', ARGV[3], 'drops', ARGV[4],
  'width', ARGV[5], 'height', ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. held)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', '(' .. asked)
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', now - 60000)
redis.call('ZREM', KEYS[4], stream)
redis.call('ZADD', KEYS[4], now, stream .. ':' .. ARGV[2])
redis.call('ZREM', KEYS[5], stream)
redis.call('ZADD', KEYS[6], now, stream)
for key = 4, 6 do redis.call('PEXPIRE', KEYS[key], 60000) end
redis.call('LPUSH', KEYS[7], ARGV[13])
return {'sent', call_others() and 1 or 0, ARGV[2], unpack(facts, 4)}
