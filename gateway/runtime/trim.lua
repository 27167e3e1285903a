-- Let journal entries up to ARGV[3] leave Redis: they are in a file, and both kept snapshots lie behind them.
-- KEYS: journal stream, lease hash, newest snapshot hash, previous snapshot hash
-- ARGV: epoch, owner, last sequence number that may leave
-- Answers how many left, FENCED, or NEEDED when a start might still want them.
local lease = redis.call('HMGET', KEYS[2], 'epoch', 'owner')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return 'FENCED' end
for at = 3, 4 do
  local seq = tonumber(redis.call('HGET', KEYS[at], 'seq') or '0')
  if seq < tonumber(ARGV[3]) then return 'NEEDED' end
end
return redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', tonumber(ARGV[3]) + 1) .. '-0')
