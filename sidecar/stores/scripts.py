"""The two questions to Redis or Valkey, each one atomic script over one key. They run on Redis 6.2 and later.

Time is the server's own, in whole microseconds, so that sidecars need no common clock. Amounts stay below 2^53, where
Lua's numbers are exact. Scripts that read the time and then write are replicated by their effects (Redis 5 and later).
"""

TAKE = """
-- A rate: KEYS[1]; ARGV: per_minute, need, want, back.
-- The same algorithm as sidecar/limits/gcra.py, in integers.
local BURST, MOST_DEBT, IDLE_MS = 2000000, 124000000, 60000
local per_minute, need, want, back = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local each = 60000000 / per_minute
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = redis.call('HMGET', KEYS[1], 'paid_at', 'per_minute')
local debt = 0
if known[1] then
  -- The server's clock may have stepped back: nobody owes more than two minutes.
  debt = math.min(tonumber(known[1]) - now, MOST_DEBT)
  if debt > 0 and tonumber(known[2]) ~= per_minute then
    debt = math.floor(debt * tonumber(known[2]) / per_minute)
  end
end
if back > 0 then
  debt = debt - math.floor(back * each)
elseif back < 0 then
  debt = math.min(math.max(debt, 0) + math.ceil(-back * each), MOST_DEBT)
end
debt = math.max(debt, 0)
local fit = math.max(0, math.floor((BURST - debt) / each))
local granted, wait = 0, 0
if fit >= need then
  granted = math.min(want, fit)
elseif need * each > BURST and debt == 0 then
  granted = need
else
  wait = math.max(1, math.ceil(debt - math.max(0, BURST - need * each)))
end
debt = debt + math.ceil(granted * each)
redis.call('HSET', KEYS[1], 'paid_at', string.format('%.0f', now + debt), 'per_minute', ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(debt / 1000) + IDLE_MS)
return {granted, wait, math.max(0, math.floor((BURST - debt) / each)), debt}
"""

HOLD = """
-- A budget or places: KEYS[1]; ARGV: holder, limit, seed (-1: unknown), spent, told, keep, need, least, parts,
-- milliseconds of a hold, milliseconds of the key, number of the question.
-- Fields: spent and held by the fleet, swept (when), and per holder '@<holder>' = 'held until told number'.
local holder, limit, seed = '@' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local spent, told, keep, need = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local least, parts = tonumber(ARGV[8]), tonumber(ARGV[9])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function whole(number) return string.format('%.0f', number) end
local function hold_of(text)
  local held, until_ms, said, number = string.match(text, '^(%d+) (%d+) (%d+) (%d+)$')
  return tonumber(held), tonumber(until_ms), tonumber(said), tonumber(number)
end

local fleet = redis.call('HMGET', KEYS[1], 'spent', 'held', 'swept', holder)
if not fleet[1] and seed < 0 then return {-1, 0, 0, 0} end
local fleet_spent = fleet[1] and tonumber(fleet[1]) or seed
local fleet_held, swept = tonumber(fleet[2] or '0'), tonumber(fleet[3] or '0')
local mine = 0
if fleet[4] then
  local held, _, said, number = hold_of(fleet[4])
  -- A question that was given up may arrive after the next one: nobody reads its answer.
  if tonumber(ARGV[12]) <= number then return {0, held, fleet_spent, fleet_held - held} end
  mine, told = held, said
end
-- A running total: what was told before is not counted again, whatever was lost on the way.
fleet_spent = fleet_spent + math.max(0, spent - told)
told = math.max(spent, told)
local others = fleet_held - mine
if limit - fleet_spent - others < need and (now - swept >= 1000 or swept > now) then
  swept = now
  local fields = redis.call('HGETALL', KEYS[1])
  for index = 1, #fields, 2 do
    if string.sub(fields[index], 1, 1) == '@' and fields[index] ~= holder then
      local held, until_ms = hold_of(fields[index + 1])
      if until_ms < now then
        others = others - held
        redis.call('HDEL', KEYS[1], fields[index])
      end
    end
  end
end
local room = limit - fleet_spent - others
local is_granted, held = 0, 0
if need <= room then
  local block = 0
  if parts > 0 then
    block = math.floor((room - need) / parts)
    if block < least then block = (room - need) * 4 > least * parts and least or 0 end
  end
  is_granted, held = 1, math.min(room, need + block)
else
  -- What is not in use goes back: what two hold of the last bit could serve neither.
  held = keep
end
redis.call('HSET', KEYS[1], 'spent', whole(fleet_spent), 'held', whole(others + held), 'swept', whole(swept),
  holder, whole(held) .. ' ' .. whole(now + tonumber(ARGV[10])) .. ' ' .. whole(told) .. ' ' .. ARGV[12])
redis.call('PEXPIRE', KEYS[1], ARGV[11])
return {is_granted, held, fleet_spent, others}
"""
