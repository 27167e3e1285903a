-- Keep a snapshot and the one before it.
-- KEYS: snapshot hash, previous snapshot hash, lease hash
-- ARGV: epoch, owner, seq, sha256, data
-- Answers OK, FENCED, or OLD when a snapshot at least as new is kept already.
local lease = redis.call('HMGET', KEYS[3], 'epoch', 'owner')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return 'FENCED' end
local kept = redis.call('HGET', KEYS[1], 'seq')
if kept and tonumber(kept) >= tonumber(ARGV[3]) then return 'OLD' end
if kept then redis.call('RENAME', KEYS[1], KEYS[2]) end
redis.call('HSET', KEYS[1], 'seq', ARGV[3], 'sha256', ARGV[4], 'data', ARGV[5])
return 'OK'
