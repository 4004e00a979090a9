-- A live frame and its place in the style's live window: frame, in-flight entry, ticket and counters together, in one
-- round trip, or nothing of it and the stream asks for a place. The counters' sum holds at every moment.
-- KEYS: frame, inflight, facts (the stream's hash), live, asking, served (the last three of the style), queue (of a frame).
-- ARGV: document ("" only asks), seq, frames dropped since the stream began, the same by cause, width, height, stream,
-- places, time to live (ms), how long a place is held at most (ms), how long an asking counts (ms), wake-up channel,
-- ticket (of a frame).
-- Returns {state, 1 when the stream's next frame would find a place now, newest seq in flight, style, strength,
-- keep_colours, brush, mix and share as wished for the next frame}. States: `unknown`, the server does not know the
-- stream; `wait`; `sent`;
-- `had`, such a frame came before: a client whose reply was lost asks again, and nothing is counted twice.
local frame, inflight, facts, live, asking, served, queue = unpack(KEYS)
local document, seq, dropped, drops, width, height = unpack(ARGV)
local stream, places, life_ms, place_ms, asking_ms, channel, ticket = unpack(ARGV, 7)
local WINDOW_LIFE_MS = 60000
-- Tickets kept beyond four for each place: those of frames in flight are at most one for each place.
local SPARE_TICKETS = 32

local known = redis.call('HMGET', facts, 'maxlen', 'seq', 'dropped', 'style', 'strength', 'keep_colours', 'brush',
  'mix', 'share')
if not known[1] then return {'unknown', 0, -1} end
local function answer(state, is_free, newest)
  return {state, is_free and 1 or 0, newest, unpack(known, 4)}
end
local now = clock()
places = tonumber(places)
-- What is older a producer that died left behind.
local held, asked = now - place_ms, now - asking_ms
local ahead = newest_stamp(now)
-- Nothing is written before SET: at maxmemory that refuses the whole, but goes on once a script has written.
local is_free = redis.call('ZCOUNT', live, held, ahead) < places
local newest = tonumber(known[2] or -1)
if document ~= '' and tonumber(seq) <= newest then return answer('had', is_free, newest) end
-- Streams before `last` whose turn a free place is wait for a call: two that each found it the other's turn would wait
-- for ever, with places free (21 of 50 frames a second). Returns whether a place is left.
local function call_others(last)
  while redis.call('ZCOUNT', live, held, ahead) < places do
    local first = turn(asking, served, asked, last)
    if not first or first == last then return true end
    call(live, asking, first, channel, held + asking_ms)
  end
  return false
end

-- A place that came back and was kept for this stream.
local kept_at = tonumber(redis.call('ZSCORE', live, stream) or 0)
local kept = kept_at >= held and kept_at <= ahead
is_free = kept or (is_free and turn(asking, served, asked, stream) == stream)
if document == '' or not is_free then
  redis.call('ZADD', asking, now, stream)
  is_free = kept or call_others(stream)
  redis.call('PEXPIRE', asking, WINDOW_LIFE_MS)
  return answer('wait', is_free, newest)
end
redis.call('SET', frame, document, 'PX', life_ms)
redis.call('ZADD', inflight, -now, seq)
redis.call('PEXPIRE', inflight, life_ms)
redis.call('HINCRBY', facts, 'captured', dropped - (known[3] or 0) + 1)
redis.call('HSET', facts, 'seq', seq, 'dropped', dropped, 'drops', drops, 'width', width, 'height', height)
redis.call('ZREMRANGEBYSCORE', live, '-inf', '(' .. held)
redis.call('ZREMRANGEBYSCORE', asking, '-inf', '(' .. asked)
redis.call('ZREMRANGEBYSCORE', served, '-inf', now - WINDOW_LIFE_MS)
for _, key in ipairs({live, asking, served}) do redis.call('ZREMRANGEBYSCORE', key, '(' .. ahead, '+inf') end
redis.call('ZREM', live, stream)
redis.call('ZADD', live, now, stream .. ':' .. seq)
redis.call('ZREM', asking, stream)
redis.call('ZADD', served, now, stream)
for _, key in ipairs({live, asking, served}) do redis.call('PEXPIRE', key, WINDOW_LIFE_MS) end
redis.call('LPUSH', queue, ticket)
-- Tickets outlive their frames where no worker takes them: 40 MB a day and stream. The oldest go, and all of them once
-- nobody sends any more. A user whose ACL file is older may not trim; the list then still expires.
redis.pcall('LTRIM', queue, 0, 4 * places + SPARE_TICKETS - 1)
redis.call('PEXPIRE', queue, WINDOW_LIFE_MS)
return answer('sent', call_others(), seq)
