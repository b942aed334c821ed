-- Append entries that waited in a spool, each once however often it is sent.
--
-- KEYS  1 log (stream)   2 absorbed (hash: spool -> last row that was appended)
-- ARGV  1 spool   then pairs: row, entry; rows grow
-- Returns how many were appended.

local last = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
local appended = 0
for n = 2, #ARGV, 2 do
  local row = tonumber(ARGV[n])
  if row > last then
    redis.call('XADD', KEYS[1], '*', 'e', ARGV[n + 1])
    redis.call('HSET', KEYS[2], ARGV[1], row)
    last = row
    appended = appended + 1
  end
end
return appended
