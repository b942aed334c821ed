-- Replace the note of a site's rebuild if it still is the one that was read.
--
-- KEYS  1 note (string)
-- ARGV  1 the note that is replaced, or '' for none   2 the new one
-- Returns 1 if stored, else 0.

local present = redis.call('GET', KEYS[1]) or ''
if present ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2])
return 1
