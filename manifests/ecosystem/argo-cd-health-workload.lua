-- Argo CD: the health of a Deployment or StatefulSet that a DeploymentCircuitBreaker guards. A workload
-- that a trip holds is Degraded with the cause; Argo CD's own check calls such a Deployment Suspended.
-- Every other workload is judged as Argo CD's own checks do, which a check of one's own replaces; also one that was
-- resumed after its DeploymentCircuitBreaker was deleted, and still has its marks.
--
--   kubectl -n argocd create configmap argocd-cm --dry-run=client -o yaml \
--     --from-file=resource.customizations.health.apps_Deployment=argo-cd-health-workload.lua \
--     --from-file=resource.customizations.health.apps_StatefulSet=argo-cd-health-workload.lua |
--     kubectl apply --server-side --field-manager=tripswitch -f -

local spec, status = obj.spec or {}, obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function answer(health, message)
  return { status = health, message = message }
end

local function count(name)
  return status[name] or 0
end

local replicas = spec.replicas or 1

local function is_stopped()
  local partition = ((spec.updateStrategy or {}).rollingUpdate or {}).partition or 0
  return spec.paused or partition >= 1000000
end

local function judge_trip()
  if not is_stopped() then
    return nil
  end
  local stalled = conditions.Stalled
  if stalled ~= nil and stalled.status == "True" and stalled.reason == "CircuitBreakerTriggered" then
    return answer("Degraded", stalled.message)
  end
  -- A StatefulSet's controller drops the condition for a moment each time it writes status.
  local tripped = ((obj.metadata or {}).annotations or {})["tripswitch.dev/tripped"]
  if tripped ~= nil then
    return answer("Degraded", "Tripswitch keeps it from rolling out " .. tripped .. ", which failed")
  end
end

local function judge_deployment()
  if spec.paused then
    return answer("Suspended", "Deployment is paused")
  end
  if count("observedGeneration") < (obj.metadata.generation or 0) then
    return answer("Progressing", "the Deployment controller has not seen the latest change")
  end
  local progressing = conditions.Progressing
  if progressing ~= nil and progressing.reason == "ProgressDeadlineExceeded" then
    return answer("Degraded", progressing.message)
  end
  if count("updatedReplicas") < replicas then
    return answer("Progressing", count("updatedReplicas") .. " of " .. replicas .. " pods are updated")
  end
  if count("replicas") > count("updatedReplicas") then
    local old = count("replicas") - count("updatedReplicas")
    return answer("Progressing", old .. " old pods are still there")
  end
  if count("availableReplicas") < count("updatedReplicas") then
    local all = count("updatedReplicas")
    return answer("Progressing", count("availableReplicas") .. " of " .. all .. " pods are available")
  end
  return answer("Healthy")
end

local function judge_stateful_set()
  local seen = count("observedGeneration")
  if seen == 0 or seen < (obj.metadata.generation or 0) then
    return answer("Progressing", "the StatefulSet controller has not seen the latest change")
  end
  if count("readyReplicas") < replicas then
    return answer("Progressing", count("readyReplicas") .. " of " .. replicas .. " pods are ready")
  end
  local strategy = spec.updateStrategy or {}
  if strategy.type == "OnDelete" then
    return answer("Healthy")
  end
  local partition = (strategy.rollingUpdate or {}).partition
  if partition ~= nil and partition > 0 then
    local wanted = replicas - partition
    if count("updatedReplicas") < wanted then
      return answer("Progressing", count("updatedReplicas") .. " of " .. wanted .. " pods are updated")
    end
    return answer("Healthy")
  end
  if status.updateRevision ~= status.currentRevision then
    return answer("Progressing", count("updatedReplicas") .. " of " .. replicas .. " pods are updated")
  end
  return answer("Healthy")
end

local held = judge_trip()
if held ~= nil then
  return held
end
if obj.kind == "StatefulSet" then
  return judge_stateful_set()
end
return judge_deployment()
