-- Hold on to the household (time to live > 0) or let it go (0): only while epoch and owner are still ours.
-- KEYS: lease hash {epoch, owner, until}
-- ARGV: epoch, owner, time to live in ms
-- Answers OK or FENCED.
local lease = redis.call('HMGET', KEYS[1], 'epoch', 'owner')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return 'FENCED' end
if ARGV[3] == '0' then
  redis.call('HSET', KEYS[1], 'owner', '', 'until', '0')
  return 'OK'
end
local now = redis.call('TIME')
local now_ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now_ms + ARGV[3]))
return 'OK'
