-- Take the household over when nobody holds it, its time is over, or its owner is proved dead.
-- KEYS: lease hash {epoch, owner, until}
-- ARGV: owner, time to live in ms, owner proved dead ('' for none)
-- Answers {OK, epoch} or {HELD, owner, ms left}.
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'epoch', 'owner', 'until')
local owner, until_ms = lease[2] or '', tonumber(lease[3] or '0')
if owner ~= '' and owner ~= ARGV[1] and owner ~= ARGV[3] and until_ms > now_ms then
  return {'HELD', owner, until_ms - now_ms}
end
local epoch = tonumber(lease[1] or '0') + 1
redis.call('HSET', KEYS[1], 'epoch', string.format('%.0f', epoch), 'owner', ARGV[1],
  'until', string.format('%.0f', now_ms + ARGV[2]))
return {'OK', epoch}
