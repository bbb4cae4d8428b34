const FORGET_GONE_JOBS = `
local function forgetGoneJobs(jobs)
  for _, member in ipairs(redis.call('SMEMBERS', jobs)) do
    if redis.call('EXISTS', ARGV[1] .. ':' .. member) == 0 then redis.call('SREM', jobs, member) end
  end
end
`;

/** Notes a job under its authorization and forgets the noted ones that are gone. KEYS: the set. ARGV: prefix, `<queue>:<job id>`. */
export const NOTE_SCRIPT = `${FORGET_GONE_JOBS}
forgetGoneJobs(KEYS[1])
redis.call('SADD', KEYS[1], ARGV[2])
`;

/**
 * Notes runs of repeating jobs, and forgets the noted jobs and runs of their authorizations that are gone. KEYS: for each run the set of noted jobs and the noted
 * runs. ARGV: prefix, then for each run what its authorization's ids begin with as `<queue>:<job id>`, and the milliseconds in its own.
 */
export const NOTE_RUNS_SCRIPT = `${FORGET_GONE_JOBS}
for place = 1, #KEYS, 2 do
  local runs, begin = KEYS[place + 1], ARGV[place + 1]
  forgetGoneJobs(KEYS[place])
  for _, at in ipairs(redis.call('ZRANGE', runs, 0, -1)) do
    if redis.call('EXISTS', ARGV[1] .. ':' .. begin .. at) == 0 then redis.call('ZREM', runs, at) end
  end
  redis.call('ZADD', runs, 0, ARGV[place + 2])
end
`;

/**
 * Notes a layout as used. KEYS: the noted layouts, scored with the second in which a worker last took from them, by Redis' own clock. ARGV: the number of
 * shards, and '1' for one that takes. The layout of before there were notes may hold something wherever no note is.
 */
export const USE_LAYOUT_SCRIPT = `
local now = redis.call('TIME')[1]
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('ZADD', KEYS[1], 0, '1') end
if ARGV[2] == '1' then redis.call('ZADD', KEYS[1], now, ARGV[1]) else redis.call('ZADD', KEYS[1], 'NX', now, ARGV[1]) end
`;

/** The noted layouts, each with the seconds since a worker last took from it. KEYS: the noted layouts. */
export const LAYOUTS_SCRIPT = `
local now, answer, noted = redis.call('TIME')[1], {}, redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for at = 1, #noted, 2 do
  answer[#answer + 1] = tonumber(noted[at])
  answer[#answer + 1] = now - noted[at + 1]
end
return answer
`;

/** Forgets a layout that nobody took from for ARGV[2] seconds. KEYS: the noted layouts. ARGV: the number of shards, the seconds. */
export const FORGET_LAYOUT_SCRIPT = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and redis.call('TIME')[1] - score > tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
`;

/** Removes one job that has not ended, whoever holds it, and says whether it was there. KEYS: the job. ARGV: the queue's keys up to the last colon, the job's id. */
export const TAKE_OUT_SCRIPT = `
for _, state in ipairs({ 'delayed', 'prioritized' }) do redis.call('ZREM', ARGV[1] .. state, ARGV[2]) end
for _, state in ipairs({ 'wait', 'paused', 'active' }) do redis.call('LREM', ARGV[1] .. state, 0, ARGV[2]) end
redis.call('SREM', ARGV[1] .. 'stalled', ARGV[2])
redis.call('DEL', KEYS[1] .. ':lock', KEYS[1] .. ':logs')
return redis.call('DEL', KEYS[1])
`;

/** Forgets what is noted of the jobs of a given-up layout, and keeps what was handed in. KEYS: the set of noted jobs. */
export const FORGET_NOTES_SCRIPT = `
for _, member in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if not string.match(member, '^intake:') then redis.call('SREM', KEYS[1], member) end
end
`;

/**
 * The jobs of one authorization, removed (or, where ARGV[2] is not 'remove', counted): BullMQ's own removal, state by state, in one step and without the
 * event that would name them again. A locked one stays. KEYS: its set of noted jobs, its noted runs. ARGV: prefix, what to do, the repeating queue, the authorization's id,
 * then jobs as '<queue>:<job id>'. Answers { jobs, locked ones }.
 */
export const JOBS_SCRIPT = `
local prefix, remove, repeating, id = ARGV[1] .. ':', ARGV[2] == 'remove', ARGV[1] .. ':' .. ARGV[3] .. ':', ARGV[4]
local found, locked, seen, runs = 0, 0, {}, ARGV[3] .. ':repeat:' .. id .. ':'

local function unlist(base, jobId)
  for _, state in ipairs({ 'completed', 'failed', 'delayed', 'prioritized', 'waiting-children' }) do
    if redis.call('ZREM', base .. state, jobId) == 1 then return end
  end
  for _, state in ipairs({ 'wait', 'paused', 'active' }) do
    if redis.call('LREM', base .. state, 0, jobId) > 0 then return end
  end
end

local function forget(member)
  redis.call('SREM', KEYS[1], member)
  if string.sub(member, 1, #runs) == runs then redis.call('ZREM', KEYS[2], string.sub(member, #runs + 1)) end
end

local function drop(member)
  if seen[member] then return end
  seen[member] = true
  local queue, jobId = string.match(member, '^([^:]+):(.+)$')
  local base = prefix .. queue .. ':'
  local key = base .. jobId
  if redis.call('EXISTS', key) == 0 then
    if remove then forget(member) end
    return
  end
  if redis.call('EXISTS', key .. ':lock') == 1 then
    locked = locked + 1
    return
  end
  found = found + 1
  if not remove then return end
  unlist(base, jobId)
  redis.call('SREM', base .. 'stalled', jobId)
  redis.call('DEL', key, key .. ':logs', key .. ':dependencies', key .. ':processed', key .. ':failed', key .. ':unsuccessful')
  forget(member)
end

local pending = redis.call('ZSCORE', repeating .. 'repeat', id)
if pending then drop(runs .. pending) end
for _, at in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do drop(runs .. at) end
for _, member in ipairs(redis.call('SMEMBERS', KEYS[1])) do drop(member) end
for i = 5, #ARGV do drop(ARGV[i]) end
if pending or redis.call('EXISTS', repeating .. 'repeat:' .. id) == 1 then
  found = found + 1
  if remove then
    redis.call('ZREM', repeating .. 'repeat', id)
    redis.call('DEL', repeating .. 'repeat:' .. id)
  end
end
if not remove and redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then found = found + 1 end
return { found, locked }
`;

/**
 * How many events of one queue tell of certain jobs. With ARGV[1] 'remove' the whole stream goes when any does: XDEL leaves an entry's bytes in the stream's node,
 * and so in every RDB and AOF that is written later (seen on 7.0), and writing the rest again costs the AOF 100 kB each time. Nobody needs an old event: they tell
 * of moments, and the store is the truth. KEYS: the stream. ARGV: what to do, entries on a page, then job ids, or `repeat:<id>:` for all runs of a repeating job.
 * Answers job ids and counts in turn.
 */
export const EVENTS_SCRIPT = `
local wanted, counts, answer, from = {}, {}, {}, '-'
for i = 3, #ARGV do wanted[ARGV[i]] = true end
repeat
  local entries = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', ARGV[2])
  for _, entry in ipairs(entries) do
    for i = 1, #entry[2], 2 do
      local jobId = entry[2][i] == 'jobId' and entry[2][i + 1]
      if jobId and (wanted[jobId] or wanted[string.match(jobId, '^(repeat:.+:)%d+$') or '']) then
        counts[jobId] = (counts[jobId] or 0) + 1
      end
    end
    from = '(' .. entry[1]
  end
until #entries == 0
for jobId, count in pairs(counts) do
  answer[#answer + 1] = jobId
  answer[#answer + 1] = count
end
if #answer > 0 and ARGV[1] == 'remove' then redis.call('DEL', KEYS[1]) end
return answer
`;
