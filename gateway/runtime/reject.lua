-- Move one input entry to the dead letters, once: whoever acknowledges it writes the letter.
-- KEYS: input stream, rejected stream
-- ARGV: group, entry id, bound of the rejected stream, then the letter's fields and values
-- Answers 1, or 0 when the entry was acknowledged before.
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
local letter = {}
for at = 4, #ARGV do letter[#letter + 1] = ARGV[at] end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(letter))
return 1
