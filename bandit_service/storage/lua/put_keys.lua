-- Store what keys may do, unless somebody else has changed one of them meanwhile.
--
-- KEYS  1 keys (hash: digest -> record)   2 revision of the keys
-- ARGV  for each key: digest, record, record that is replaced ("": there is none)
-- The revision is touched first: a key of another type fails there before anything has changed.
-- Returns 1 if all are stored, 0 if none is, because one is not as it was.

for i = 1, #ARGV, 3 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') ~= ARGV[i + 2] then
    return 0
  end
end
redis.call('INCR', KEYS[2])
for i = 1, #ARGV, 3 do
  redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
end
return 1
