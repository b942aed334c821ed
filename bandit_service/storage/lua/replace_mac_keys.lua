-- Replace the ring of keys that sign a site's decision ids, unless somebody else was faster.
--
-- KEYS  1 mac_keys (hash: revision, ring)   2 pulse (hash, field "mac_keys")
-- ARGV  1 revision that is replaced (0: there is none)   2 ring
-- The pulse is touched first: a key of another type fails there before anything has changed.
-- Returns 1 if replaced, 0 if the ring is at another revision.

local present = tonumber(redis.call('HGET', KEYS[1], 'revision') or '0')
if present ~= tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[2], 'mac_keys', present + 1)
redis.call('HSET', KEYS[1], 'revision', present + 1, 'ring', ARGV[2])
return 1
