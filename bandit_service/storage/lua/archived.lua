-- Remember how far the log is archived, unless another archive took over.
--
-- KEYS  1 archive (hash: id, ms, seq, trimmed_ms, trimmed_seq)
-- ARGV  1 id that is replaced ('': none is known)   2 id   3 ms   4 seq
-- Returns 1 if stored, 0 if another archive is known.

if (redis.call('HGET', KEYS[1], 'id') or '') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'id', ARGV[2], 'ms', ARGV[3], 'seq', ARGV[4])
return 1
