"""Lua scripts of ``worker/queue.py``. Redis runs each atomically.

Their first write frees memory or needs none, so that Redis runs them even if its memory is full
(app/space.py).
"""

from app.scripts import FUNCTIONS

POLICY_SECONDS = 20
"""Time after which a policy is forgotten if no worker has claimed or renewed a job by it."""

# The names of KEYS and ARGV in all scripts.
_HEAD = """
local diffs, ended, index, policies, stream, retries = unpack(KEYS)
local group, consumer, lease_token, now_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
"""

# Notes that a worker judges by the policy ARGV[6], and forgets policies that no worker has. If all
# workers are gone, their policies stay. Writes seldom, because each write goes to the disk.
_NOTE_POLICY = f"""
local function note_policy(policy)
  local noted_at = redis.call('ZSCORE', policies, policy)
  if noted_at and now_ms - noted_at < {POLICY_SECONDS * 250} then return end
  redis.call('ZREMRANGEBYSCORE', policies, '-inf', now_ms - {POLICY_SECONDS * 1000})
  redis.pcall('ZADD', policies, now_ms, policy)
end
"""

# Claims a job and starts its attempt: an entry whose worker was silent for longer than its lease,
# else a new one. Returns its entry id and its review's hash with the field "id", or '' and {} if
# there is none; then id and reason of each dropped entry; then 1 if it stopped before the end.
CLAIM = (
    _HEAD
    + FUNCTIONS
    + _NOTE_POLICY
    + """
local lease_ms, max_consumer_idle_ms = ARGV[5], tonumber(ARGV[7])
local dropped = {}

-- Removes an entry; with a reason, its review fails as well, if there is one.
local function drop_entry(entry_id, id, reason)
  redis.call('XACK', stream, group, entry_id)
  redis.call('XDEL', stream, entry_id)
  if not reason then return end
  table.insert(dropped, entry_id)
  table.insert(dropped, reason)
  if id and redis.call('TYPE', review_key(id)).ok == 'hash' then
    local failure = cjson.encode({code = 'damaged', message = reason})
    redis.call('HSET', review_key(id), 'status', 'failed', 'failure', failure)
  end
end

-- Returns the id and the fields of an entry that is now this worker's.
local function next_entry()
  local pending = redis.call('XPENDING', stream, group, 'IDLE', lease_ms, '-', '+', 1)[1]
  if pending then
    local entry = redis.call('XCLAIM', stream, group, consumer, lease_ms, pending[1])[1]
    return pending[1], entry and entry[2] or {}
  end
  local reply = redis.call(
    'XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1, 'STREAMS', stream, '>'
  )
  if not reply then return end
  local entry = reply[1][2][1]
  return entry[1], entry[2]
end

local function review_id(fields)
  for n = 1, #fields, 2 do
    if fields[n] == 'id' then return fields[n + 1] end
  end
end

-- Returns whether a job can be made of a review, and why not if that is a fault. A review that has
-- ended can have a second entry: the client resends a submission whose reply was lost.
local function is_open(id)
  if not id then return false, 'the entry has no review id' end
  local kind = redis.call('TYPE', review_key(id)).ok
  if kind == 'none' then return false, 'the review has expired or never existed' end
  if kind ~= 'hash' then return false, 'the review is no hash' end
  local status = field(id, 'status')
  if status == 'done' or status == 'failed' then return false end
  if status ~= 'queued' and status ~= 'running' then
    return false, 'the review has no valid status'
  end
  for _, name in ipairs({'package', 'from', 'to'}) do
    local value = field(id, name)
    if not value or value == '' or value:find('[^\\32-\\126]') then
      return false, 'the review has no valid ' .. name
    end
  end
  if not (field(id, 'attempts') or '0'):find('^%d%d?%d?$') then
    return false, 'the review has no valid number of attempts'
  end
  return true
end

-- Removes the consumers of workers that are gone for long. One with entries stays: removing it
-- would lose them.
local function remove_dead_consumers()
  for _, reply in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
    local info = {}
    for n = 1, #reply, 2 do info[reply[n]] = reply[n + 1] end
    if info.pending == 0 and info.idle > max_consumer_idle_ms and info.name ~= consumer then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, info.name)
    end
  end
end

heal()
-- Queue at most 100 jobs whose next attempt is due.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', retries, '-inf', now_ms, 'LIMIT', 0, 100)) do
  redis.call('ZREM', retries, id)
  redis.call('XADD', stream, '*', 'id', id)
end
make_room(0)
note_policy(ARGV[6])
-- The store is new, or lost its data.
if redis.pcall('XPENDING', stream, group).err then
  redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
end

for _ = 1, 100 do
  local entry_id, fields = next_entry()
  if not entry_id then
    remove_dead_consumers()
    return {'', {}, dropped, 0}
  end
  local id = review_id(fields)
  local open, reason = is_open(id)
  if open then
    redis.call('HINCRBY', review_key(id), 'attempts', 1)
    redis.call(
      'HSET', review_key(id), 'status', 'running', 'lease', lease_token, 'updated', now_ms
    )
    local hash = redis.call('HGETALL', review_key(id))
    table.insert(hash, 'id')
    table.insert(hash, id)
    return {entry_id, hash, dropped, 0}
  end
  drop_entry(entry_id, id, reason)
end
return {'', {}, dropped, 1}
"""
)
# Resets the time for which the entry's worker was silent. Returns 1, or 0 if the lease was lost.
RENEW = (
    _HEAD
    + FUNCTIONS
    + _NOTE_POLICY
    + """
local id, entry_id = ARGV[5], ARGV[7]
if field(id, 'lease') ~= lease_token then return 0 end
redis.call('XCLAIM', stream, group, consumer, 0, entry_id, 'JUSTID')
note_policy(ARGV[6])
return 1
"""
)
# Ends an attempt: writes the review and its diff, schedules the next attempt and removes the entry.
# Returns 1, or 0 if the lease was lost.
END = (
    _HEAD
    + FUNCTIONS
    + """
local id, entry_id, next_attempt, diff, fields_json = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local review = review_key(id)
heal()
if field(id, 'lease') ~= lease_token then return 0 end
redis.call('HDEL', review, 'lease')
local fields = cjson.decode(fields_json)
if next_attempt == 'never' then keep(id, #fields_json, #diff) end
for name, value in pairs(fields) do
  redis.call('HSET', review, name, value)
end
if diff ~= '' then
  redis.call('SET', diff_key(id), diff, 'PX', math.max(1, redis.call('PTTL', review)))
end

if next_attempt == 'at once' then
  redis.call('HINCRBY', review, 'attempts', -1)
  redis.call('XADD', stream, '*', 'id', id)
elseif next_attempt ~= 'never' then
  redis.call('ZADD', retries, next_attempt, id)
end

redis.call('XACK', stream, group, entry_id)
redis.call('XDEL', stream, entry_id)
return 1
"""
)
