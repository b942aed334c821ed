-- Serve a snapshot, unless a rebuild or a further snapshot came first.
--
-- KEYS  1 pulse (hash: name, ms, seq, generation, catalog, checkpoint_ms, checkpoint_seq)
--       2 snapshots (hash: name -> bytes)
--       3 order of snapshots (list, newest first)            4 settings (hash: id -> bytes)
--       5 checkpoint (string)                                6 report of the site (string)
--       7 summaries, 8 sums, 9 series of placements (hashes: placement -> bytes)
--       10 generations (hash: generation -> name of its first snapshot)
-- ARGV  1 generation that is replaced (0: none)   2 generation   3 name   4 ms   5 seq
--       6 snapshot   7 settings id   8 settings   9 report of the site, or '' for none at all
--       10 checkpoint, or ''   11 how many snapshots to keep
--       12 of a report: 1 if other placements are to be forgotten, then for each of KEYS 7 to 9
--       how many placements follow, and those as pairs of name and bytes
-- Returns 'published', 'superseded' (another generation serves) or 'behind' (a further one serves).

local present = redis.call('HMGET', KEYS[1], 'generation', 'ms', 'seq')
local generation = tonumber(present[1] or '0')
if generation ~= tonumber(ARGV[1]) then
  return 'superseded'
end
if present[1] and generation == tonumber(ARGV[2]) then
  local ms, seq = tonumber(present[2]), tonumber(present[3])
  local newms, newseq = tonumber(ARGV[4]), tonumber(ARGV[5])
  if newms < ms or (newms == ms and newseq < seq) then
    return 'behind'
  end
end
if redis.call('HSET', KEYS[2], ARGV[3], ARGV[6]) == 1 then
  redis.call('LPUSH', KEYS[3], ARGV[3])
end
while redis.call('LLEN', KEYS[3]) > tonumber(ARGV[11]) do
  redis.call('HDEL', KEYS[2], redis.call('RPOP', KEYS[3]))
end
redis.call('HSET', KEYS[4], ARGV[7], ARGV[8])
redis.call('HSETNX', KEYS[10], ARGV[2], ARGV[3])
if ARGV[9] ~= '' then
  redis.call('SET', KEYS[6], ARGV[9])
  local at = 13
  for key = 7, 9 do
    if ARGV[12] == '1' then
      redis.call('DEL', KEYS[key])
    end
    local last = at + 2 * tonumber(ARGV[at])
    for pair = at + 1, last, 2 do
      redis.call('HSET', KEYS[key], ARGV[pair], ARGV[pair + 1])
    end
    at = last + 1
  end
end
if ARGV[10] ~= '' then
  redis.call('SET', KEYS[5], ARGV[10])
  redis.call('HSET', KEYS[1], 'checkpoint_ms', ARGV[4], 'checkpoint_seq', ARGV[5])
end
redis.call('HSET', KEYS[1], 'name', ARGV[3], 'ms', ARGV[4], 'seq', ARGV[5], 'generation', ARGV[2])
return 'published'
