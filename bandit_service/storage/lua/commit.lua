-- Store a document of the catalog and append its entry to the log, both or neither.
--
-- KEYS  1 documents (hash: key -> JSON)          2 revisions (hash: key -> its own revision)
--       3 changes (zset: key by catalog revision)  4 history (hash: key@revision -> JSON)
--       5 catalog revision (integer)             6 log (stream)
--       7 pulse (hash, field "catalog")
-- ARGV  1 key   2 revision that is replaced (0: must not exist)   3 new revision
--       4 document   5 log entry
-- The log goes first: a script is not undone where a command fails, and without its entry a change
-- must not stand.
-- Returns 1 if stored, 0 if the document is at another revision.

local present = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
if present ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('XADD', KEYS[6], '*', 'e', ARGV[5])
local revision = redis.call('INCR', KEYS[5])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[4], ARGV[1] .. '@' .. ARGV[3], ARGV[4])
redis.call('ZADD', KEYS[3], revision, ARGV[1])
redis.call('HSET', KEYS[7], 'catalog', revision)
return 1
