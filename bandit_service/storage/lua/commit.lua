-- Store documents of the catalog and append their entries to the log: all of it, or nothing.
--
-- KEYS  1 documents (hash: key -> JSON)          2 revisions (hash: key -> its own revision)
--       3 changes (zset: key by catalog revision)  4 history (hash: key@revision -> JSON)
--       5 catalog revision (integer)             6 log (stream)
--       7 pulse (hash, field "catalog")
-- ARGV  five for each document, in order:
--       key, revision that is replaced (0: must not exist), new revision, document, log entry
-- The log goes first: a script is not undone where a command fails, and without its entry a change
-- must not stand.
-- Returns 1 if stored, 0 if one of the documents is at another revision.

for n = 1, #ARGV, 5 do
  local present = tonumber(redis.call('HGET', KEYS[2], ARGV[n]) or '0')
  if present ~= tonumber(ARGV[n + 1]) then
    return 0
  end
end
for n = 1, #ARGV, 5 do
  local key, new, document, entry = ARGV[n], ARGV[n + 2], ARGV[n + 3], ARGV[n + 4]
  redis.call('XADD', KEYS[6], '*', 'e', entry)
  local revision = redis.call('INCR', KEYS[5])
  redis.call('HSET', KEYS[1], key, document)
  redis.call('HSET', KEYS[2], key, new)
  redis.call('HSET', KEYS[4], key .. '@' .. new, document)
  redis.call('ZADD', KEYS[3], revision, key)
  redis.call('HSET', KEYS[7], 'catalog', revision)
end
return 1
