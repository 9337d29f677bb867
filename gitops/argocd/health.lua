-- Health of gochat.io's resources for Argo CD. One script for all kinds: it goes by the conditions.
--
-- argocd-cm:  resource.customizations.health.gochat.io_GoChatCluster:   |  this file
--             resource.customizations.health.gochat.io_GoChatRebalance: |  this file

local function condition(name)
  for _, found in ipairs(obj.status.conditions or {}) do
    if found.type == name then return found end
  end
  return nil
end

local function says(health, found)
  local text = found.message or ""
  if found.reason and found.reason ~= "" then text = found.reason .. ": " .. text end
  return { status = health, message = text }
end

local function is_true(found) return found ~= nil and found.status == "True" end

-- A rebalance is a job: what it came to is in its phase.
local function rebalance()
  local phases = {
    New = "Progressing", Proposed = "Suspended", Moving = "Progressing",
    Done = "Healthy", Stopped = "Suspended", Failed = "Degraded",
  }
  local phase = obj.status.phase or "New"
  local message = obj.status.message or ""
  if phase == "Moving" and obj.status.progress then message = obj.status.progress .. " moved" end
  return { status = phases[phase] or "Unknown", message = message }
end

local function cluster()
  local stalled, degraded = condition("Stalled"), condition("Degraded")
  local progressing, ready = condition("Progressing"), condition("Ready")
  if is_true(stalled) then return says("Degraded", stalled) end
  if progressing and progressing.reason == "Paused" then return says("Suspended", progressing) end
  if is_true(progressing) then return says("Progressing", progressing) end
  if is_true(degraded) then return says("Degraded", degraded) end
  if is_true(ready) then return says("Healthy", ready) end
  if ready and ready.reason == "Stopped" then return says("Suspended", ready) end
  if ready then return says("Progressing", ready) end
  return { status = "Progressing", message = "the operator has not looked at it yet" }
end

if obj.metadata.deletionTimestamp then
  return { status = "Progressing", message = "is being deleted" }
end
if obj.status == nil then
  return { status = "Progressing", message = "the operator has not looked at it yet" }
end
-- A status of an older spec says nothing of this one.
local generation, observed = obj.metadata.generation, obj.status.observedGeneration
if generation and observed and observed < generation then
  return { status = "Progressing", message = "the operator has not looked at the newest spec yet" }
end
if obj.kind == "GoChatRebalance" then return rebalance() end
return cluster()
