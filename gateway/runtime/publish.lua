-- Write read models and news of one batch, once.
-- KEYS: news stream, hash {epoch, batch} of the last batch written, then one key for each read model
-- ARGV: epoch, batch number, news bound, then value and seconds to keep (0: for ever) of each read model,
--       then the JSON of each piece of news
-- Answers 1, or 0 when this batch (or a later one, or one of a newer gateway) was written before.
local last = redis.call('HMGET', KEYS[2], 'epoch', 'batch')
local epoch, batch = tonumber(ARGV[1]), tonumber(ARGV[2])
local last_epoch, last_batch = tonumber(last[1] or '-1'), tonumber(last[2] or '-1')
if epoch < last_epoch or (epoch == last_epoch and batch <= last_batch) then return 0 end
local at = 4
for key = 3, #KEYS do
  if ARGV[at + 1] == '0' then
    redis.call('SET', KEYS[key], ARGV[at])
  else
    redis.call('SET', KEYS[key], ARGV[at], 'EX', ARGV[at + 1])
  end
  at = at + 2
end
for item = at, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', 'd', ARGV[item])
end
redis.call('HSET', KEYS[2], 'epoch', ARGV[1], 'batch', ARGV[2])
return 1
