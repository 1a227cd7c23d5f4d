"""Lua scripts of ``app/store.py``, and the functions that they share with ``worker/scripts.py``.

Redis runs each script atomically. A script begins with the names of its KEYS, then FUNCTIONS.
"""

from app.space import DEFAULT_MAXMEMORY, DIFFS_SHARE, MARK, OVERHEAD_BYTES, RESULTS_SHARE

_PARAMETERS = f"""
local MARK, DIFFS_SHARE, RESULTS_SHARE = {MARK}, {DIFFS_SHARE}, {RESULTS_SHARE}
local DEFAULT_MAXMEMORY, OVERHEAD = {DEFAULT_MAXMEMORY}, {OVERHEAD_BYTES}
"""
# The head of scripts. It needs the locals diffs, ended, index: keys of two windows and of all
# reviews. A window is a sorted set of ids. An id's score is the number of bytes that were ever
# added before it, so the difference of two scores is the size of all between them.
FUNCTIONS = (
    _PARAMETERS
    + """
local function review_key(id) return 'upgrade-gate:review:' .. id end
local function diff_key(id) return 'upgrade-gate:diff:' .. id end

-- Returns the value of a review's field; false if it has none, or is no hash.
local function field(id, name)
  local value = redis.pcall('HGET', review_key(id), name)
  return type(value) == 'string' and value
end

-- Returns the memory in use and its limit; 0 and 0 if there is no limit, or INFO is not permitted.
local function memory()
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then return 0, 0 end
  local limit = tonumber(info:match('\\nmaxmemory:(%d+)') or 0)
  return limit > 0 and tonumber(info:match('\\nused_memory:(%d+)')) or 0, limit
end

local function diff_size(id)
  local bytes = redis.pcall('STRLEN', diff_key(id))
  return OVERHEAD + (type(bytes) == 'number' and bytes or 0)
end

local function review_size(id)
  return OVERHEAD + #(field(id, 'result') or '') + #(field(id, 'failure') or '')
end

-- Deletes a diff, and returns its size; 0 if it has expired.
local function drop_diff(id)
  local bytes = diff_size(id)
  if redis.call('DEL', diff_key(id)) == 0 then return 0 end
  if field(id, 'status') then
    redis.call('HSET', review_key(id), 'diff_dropped', '1')
  end
  return bytes
end

-- Deletes all keys of a review, and returns their size; 0 if it has expired.
local function drop_review(id)
  local bytes, upgrade = review_size(id), field(id, 'upgrade')
  if redis.call('DEL', diff_key(id), review_key(id)) == 0 then bytes = 0 end
  redis.call('ZREM', index, id)
  redis.call('ZREM', diffs, id)
  if upgrade and redis.pcall('GET', upgrade) == id then
    redis.call('DEL', upgrade)
  end
  return bytes
end

-- Adds an id to a window, and returns its score.
local function add(window, id, size_of)
  local newest = redis.call('ZRANGE', window, -1, -1, 'WITHSCORES')
  local score = newest[1] and newest[2] + size_of(newest[1]) or 0
  redis.call('ZADD', window, score, id)
  return score
end

-- Adds an id of so many bytes to a window, and drops the oldest ids that exceed the window's size.
local function push(window, id, bytes, size, size_of, drop)
  local score = add(window, id, size_of)
  local oldest = '(' .. string.format('%.0f', math.min(score, score + bytes - size))
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', window, '-inf', oldest)) do
    drop(old)
  end
  redis.call('ZREMRANGEBYSCORE', window, '-inf', oldest)
end

-- Removes the oldest ids whose key has expired: more in a call than a call adds.
local function forget_expired(window, key_of)
  for _, id in ipairs(redis.call('ZRANGE', window, 0, 9)) do
    if redis.call('EXISTS', key_of(id)) == 1 then return end
    redis.call('ZREM', window, id)
  end
end

-- Replaces shared keys that another user of the store overwrote with another type. A window is
-- filled again when it is needed. The index and the queue are built again from the reviews, and the
-- foreign key gets another name. A running review may run again.
local function heal()
  local function is_foreign(key, kind)
    local actual = redis.call('TYPE', key).ok
    return actual ~= 'none' and actual ~= kind
  end
  if is_foreign(diffs, 'zset') or is_foreign(ended, 'zset') then
    redis.call('DEL', diffs, ended)
  end
  if is_foreign(policies, 'zset') then redis.call('DEL', policies) end
  local renew_index = is_foreign(index, 'zset')
  local renew_queue = is_foreign(stream, 'stream') or is_foreign(retries, 'zset')
  if renew_index then
    redis.call('RENAME', index, index .. ':foreign')
    local cursor, prefix = '0', review_key('')
    repeat
      local reply = redis.call('SCAN', cursor, 'MATCH', prefix .. '*', 'COUNT', 1000)
      cursor = reply[1]
      for _, key in ipairs(reply[2]) do
        local id = key:sub(#prefix + 1)
        local created = tonumber(field(id, 'created') or '')
        if created then redis.call('ZADD', index, created, id) end
      end
    until cursor == '0'
  end
  if renew_queue then
    for _, key in ipairs({stream, retries}) do
      if redis.call('EXISTS', key) == 1 then redis.call('RENAME', key, key .. ':foreign') end
    end
    for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
      local status = field(id, 'status')
      if status == 'queued' or status == 'running' then
        redis.call('XADD', stream, '*', 'id', id)
      end
    end
  end
end

-- Lists the reviews that version 0.2 stored, which had no windows.
local function fill_windows()
  if redis.call('EXISTS', ended) == 1 then return end
  redis.call('DEL', ended) -- as the first write, ZADD would be refused if memory is full
  for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    local status = field(id, 'status')
    if status == 'done' or status == 'failed' then
      add(ended, id, review_size)
      if diff_size(id) > OVERHEAD then add(diffs, id, diff_size) end
    end
  end
end

-- Drops the oldest diffs, then the oldest results, until so many bytes fit below the mark. Returns
-- whether they do.
local function make_room(bytes)
  local used, limit = memory()
  if limit == 0 or used + bytes <= limit * MARK then return true end
  fill_windows()
  while used + bytes > limit * MARK do
    local freed
    local id = redis.call('ZPOPMIN', diffs)[1]
    if id then
      freed = drop_diff(id)
    else
      id = redis.call('ZPOPMIN', ended)[1]
      if not id then return false end
      freed = drop_review(id)
    end
    used = math.min(memory(), used - freed) -- a store may free memory in the background
  end
  return true
end

-- Makes room for a finished review and its diff ('': none), and adds them to the windows.
local function keep(id, result_bytes, diff_bytes)
  local _, limit = memory()
  if limit == 0 then limit = DEFAULT_MAXMEMORY end
  fill_windows()
  forget_expired(ended, review_key)
  forget_expired(diffs, diff_key)
  make_room(result_bytes + diff_bytes)
  push(ended, id, OVERHEAD + result_bytes, limit * RESULTS_SHARE, review_size, drop_review)
  if diff_bytes > 0 then
    push(diffs, id, OVERHEAD + diff_bytes, limit * DIFFS_SHARE, diff_size, drop_diff)
  end
end
"""
)

_KEYS = "local diffs, ended, index, policies, stream, retries, upgrade = unpack(KEYS)\n"
# Returns the id of the upgrade's review and 1 if it is new, or why there is none and 2.
SUBMIT = (
    _KEYS
    + FUNCTIONS
    + """
local id, ttl_seconds, force, exact, now_ms, max_queued, max_bytes, fields = unpack(ARGV)
heal()
-- The client resends a submission whose reply was lost.
if redis.call('EXISTS', review_key(id)) == 1 then return {id, 1} end
local existing = force == '0' and redis.pcall('GET', upgrade)
if type(existing) == 'string' then
  local status = field(existing, 'status')
  if status == 'queued' or status == 'running' then return {existing, 0} end
  -- A finished review is the answer only if a new one would come out the same.
  if status == 'done' and exact == '1' then
    local judged_by = field(existing, 'policy')
    if judged_by and redis.call('ZSCORE', policies, judged_by) then return {existing, 0} end
  end
end
if redis.call('XLEN', stream) + redis.call('ZCARD', retries) >= tonumber(max_queued) then
  return {'queue', 2}
end
if not make_room(tonumber(max_bytes)) then return {'memory', 2} end
for name, value in pairs(cjson.decode(fields)) do
  redis.call('HSET', review_key(id), name, value)
end
redis.call('EXPIRE', review_key(id), ttl_seconds)
redis.call('SET', upgrade, id, 'EX', ttl_seconds)
redis.call('ZREMRANGEBYSCORE', index, '-inf', tonumber(now_ms) - tonumber(ttl_seconds) * 1000)
redis.call('ZADD', index, now_ms, id)
redis.call('XADD', stream, '*', 'id', id)
return {id, 1}
"""
)
# Returns 1 if a review could be submitted, 0 if there is no room and nothing that can be dropped.
CHECK = (
    _KEYS
    + FUNCTIONS
    + """
local max_bytes, must_write = tonumber(ARGV[1]), ARGV[2] == '1'
local used, limit = memory()
-- These write nothing, but are refused as writes are: read-only, failed snapshot. SET is refused
-- for lack of memory as well, even if SUBMIT could drop something: only if that is unknown.
if limit == 0 then redis.call('SET', policies .. ':absent', '', 'XX') end
redis.call('DEL', policies .. ':absent')
if must_write then redis.call('SET', policies .. ':check', '', 'EX', 60) end
heal()
if limit == 0 or used + max_bytes <= limit * MARK then return 1 end
fill_windows()
return math.min(1, redis.call('ZCARD', diffs) + redis.call('ZCARD', ended))
"""
)
