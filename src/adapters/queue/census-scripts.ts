/**
 * What is held of some authorizations, of one moment. KEYS: any key of the part. ARGV: prefix, the repeating queue, the names of all queues with blanks between,
 * then of each authorization its id, the id of its own jobs, and the keys of its noted ones and of its noted runs. Answers of each: the scheduler's next slot, period and offset, the
 * score of its pending job while that is delayed, whether it is there otherwise, and its other jobs as { queue, job id, score or '' }. A job that failed
 * counts as held, since somebody has to look at it and another would only fail again; one that ended well does not.
 */
export const LOOK_SCRIPT = `
local prefix, repeating = ARGV[1] .. ':', ARGV[1] .. ':' .. ARGV[2] .. ':'
local queues = {}
for name in string.gmatch(ARGV[3], '%S+') do queues[#queues + 1] = name end

local function held(queue, jobId, jobs)
  local base = prefix .. queue .. ':'
  local score = redis.call('ZSCORE', base .. 'delayed', jobId)
  if not score then
    local facts = redis.call('HMGET', base .. jobId, 'name', 'finishedOn', 'failedReason')
    if not facts[1] or (facts[2] and not facts[3]) then return end
  end
  jobs[#jobs + 1] = { queue, jobId, score or '' }
end

local answer = {}
for at = 4, #ARGV, 4 do
  local id, own, noted, runs = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local slot = redis.call('ZSCORE', repeating .. 'repeat', id)
  local facts = slot and redis.call('HMGET', repeating .. 'repeat:' .. id, 'every', 'offset') or {}
  local pending = slot and ('repeat:' .. id .. ':' .. slot)
  local score = pending and redis.call('ZSCORE', repeating .. 'delayed', pending)
  local here = 0
  if pending and (not score or redis.call('EXISTS', repeating .. pending) == 0) then
    local job = redis.call('HMGET', repeating .. pending, 'name', 'finishedOn')
    here = job[1] and not job[2] and 1 or 0
    if here == 0 then score = false end
  end
  local jobs = {}
  for _, queue in ipairs(queues) do held(queue, own, jobs) end
  for _, member in ipairs(redis.call('SMEMBERS', noted)) do
    local queue, jobId = string.match(member, '^([^:]+):(.+)$')
    if queue == ARGV[2] and jobId ~= own and jobId ~= pending then held(queue, jobId, jobs) end
  end
  for _, time in ipairs(redis.call('ZRANGE', runs, 0, -1)) do
    local jobId = 'repeat:' .. id .. ':' .. time
    if jobId ~= pending then held(ARGV[2], jobId, jobs) end
  end
  answer[#answer + 1] = { slot or '', facts[1] or '', facts[2] or '', score or '', here, jobs }
end
return answer
`;

/** Removes one delayed job, and only while it is delayed. KEYS: the set of delayed jobs. ARGV: the queue's prefix, the job's id. */
export const DROP_SCRIPT = `
if redis.call('ZREM', KEYS[1], ARGV[2]) == 0 then return 0 end
local key = ARGV[1] .. ARGV[2]
redis.call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
return 1
`;
