-- Append one batch to the journal: fence, head and repeat are checked and everything is written in one step.
-- KEYS: journal stream, head hash {seq, token}, lease hash {epoch, owner, until}
-- ARGV: epoch, owner, expected head, batch token, then type, version, data of each event
-- Answers {word, head}: OK, DUP (this very batch was written before), BEHIND, FENCED or CONFLICT.
local head = redis.call('HMGET', KEYS[2], 'seq', 'token')
local seq = tonumber(head[1] or '0')
local expected = tonumber(ARGV[3])
if seq < expected then return {'BEHIND', seq} end
local lease = redis.call('HMGET', KEYS[3], 'epoch', 'owner')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] then return {'FENCED', seq} end
if seq > expected then
  if head[2] == ARGV[4] then return {'DUP', seq} end
  return {'CONFLICT', seq}
end
for at = 5, #ARGV, 3 do
  seq = seq + 1
  redis.call('XADD', KEYS[1], string.format('%.0f', seq) .. '-0', 't', ARGV[at], 'v', ARGV[at + 1], 'd', ARGV[at + 2])
end
redis.call('HSET', KEYS[2], 'seq', string.format('%.0f', seq), 'token', ARGV[4])
return {'OK', seq}
