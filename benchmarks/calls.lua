-- Posts the bodies of a file, 4,096 bytes each, every one of them once, and ends when the last one is answered.
-- Arguments: the file, the number of bodies, the verdict that every answer should have.
-- The last line on standard output: first request and last answer (monotonic seconds), answers, those of status 200,
-- those with the verdict.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } bench_time;
  int clock_gettime(int clock, bench_time *time);
]]

local MONOTONIC, BODY_BYTES = 1, 4096
local bodies, count, expected, head
local sent, answered, ok, as_expected, began = -1, 0, 0, 0, 0

local function now()
  local time = ffi.new("bench_time")
  ffi.C.clock_gettime(MONOTONIC, time)
  return tonumber(time.seconds) + tonumber(time.nanoseconds) / 1e9
end

function init(arguments)
  bodies = assert(io.open(arguments[1], "rb"))
  count = tonumber(arguments[2])
  expected = '{"verdict":"' .. arguments[3] .. '"'
  head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.headers["Host"] ..
    "\r\nContent-Type: application/json\r\nContent-Length: " .. BODY_BYTES .. "\r\n\r\n"
end

function request()
  if sent < 0 then -- wrk asks once before it begins, and sends nothing of that
    sent = 0
    return head .. string.rep(" ", BODY_BYTES)
  end
  if sent == 0 then
    began = now()
  end
  if sent == count then
    return "" -- nothing is written; the connection waits until the others are answered
  end
  sent = sent + 1
  return head .. bodies:read(BODY_BYTES)
end

function response(status, headers, body)
  answered = answered + 1
  if status == 200 then
    ok = ok + 1
  end
  if body:sub(1, #expected) == expected then
    as_expected = as_expected + 1
  end
  if answered == count then
    print(string.format("%.6f %.6f %d %d %d", began, now(), answered, ok, as_expected))
    io.stdout:flush()
    os.exit(0)
  end
end
