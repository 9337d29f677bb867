-- health.lua on the objects of testdata: each file is a Lua table with the object and the health that it should have.
-- Usage: lua5.4 health_test.lua, in its folder.
local failed, count = 0, 0
for name in io.popen("ls testdata/*.lua"):lines() do
  local case = dofile(name)
  local environment = setmetatable({ obj = case.obj }, { __index = { ipairs = ipairs } })
  local health = assert(loadfile("health.lua", "t", environment))()
  count = count + 1
  if health.status ~= case.status or (case.message and not string.find(health.message, case.message, 1, true)) then
    failed = failed + 1
    print(string.format("%s: %s (%s), expected %s (%s)", name, health.status, health.message, case.status, case.message or ""))
  end
end
print(string.format("gitops: %d objects, %d with a wrong health", count, failed))
os.exit(failed == 0 and count > 0)
