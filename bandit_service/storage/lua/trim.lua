-- Take the oldest entries from the log, as far as they are archived and learned.
--
-- KEYS  1 log (stream)   2 archive (hash: id, ms, seq, trimmed_ms, trimmed_seq)
--       3 pulse (hash, fields checkpoint_ms and checkpoint_seq)
-- ARGV  1 id of the archive   2 ms   3 seq: up to there, at most   4 how many entries, about
-- What is noted as trimmed is noted first: a script is not undone where a command fails, and a
-- reader that knows less than was trimmed would skip what is gone. Whole nodes go before what is
-- left of the last one, since Redis answers nobody else meanwhile.
-- Returns how many were removed; 0 if there is nothing more to remove, or another archive is known.

local function least(ms, seq, other_ms, other_seq)
  if other_ms < ms or (other_ms == ms and other_seq < seq) then
    return other_ms, other_seq
  end
  return ms, seq
end

local known = redis.call('HMGET', KEYS[2], 'id', 'ms', 'seq', 'trimmed_ms', 'trimmed_seq')
local learned = redis.call('HMGET', KEYS[3], 'checkpoint_ms', 'checkpoint_seq')
if known[1] ~= ARGV[1] or not learned[1] then
  return 0
end
local ms, seq = tonumber(ARGV[2]), tonumber(ARGV[3])
ms, seq = least(ms, seq, tonumber(known[2]), tonumber(known[3]))
ms, seq = least(ms, seq, tonumber(learned[1]), tonumber(learned[2]))
local before_ms, before_seq = tonumber(known[4] or '0'), tonumber(known[5] or '0')
if ms > before_ms or (ms == before_ms and seq > before_seq) then
  redis.call('HSET', KEYS[2], 'trimmed_ms', string.format('%.0f', ms),
    'trimmed_seq', string.format('%.0f', seq))
else
  ms, seq = before_ms, before_seq
end
local kept = string.format('%.0f-%.0f', ms, seq + 1)
local removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', kept, 'LIMIT', ARGV[4])
if removed == 0 then
  removed = redis.call('XTRIM', KEYS[1], 'MINID', kept)
end
return removed
