-- Argo CD: the health of a GuardedDeployment or a DeploymentCircuitBreaker. A tripped revision is Degraded
-- at once, also while and after the last completed one comes back. Into the configuration of Argo CD with
--
--   kubectl -n argocd create configmap argocd-cm --dry-run=client -o yaml \
--     --from-file=resource.customizations.health.tripswitch.dev_GuardedDeployment=argo-cd-health.lua \
--     --from-file=resource.customizations.health.tripswitch.dev_DeploymentCircuitBreaker=argo-cd-health.lua |
--     kubectl apply --server-side --field-manager=tripswitch -f -

local hs = { status = "Progressing", message = "waiting for the operator to look at it" }

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local conditions = {}
for _, condition in ipairs(obj.status.conditions or {}) do
  conditions[condition.type] = condition
end

local function holds(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

if holds("Stalled") then
  hs.status = "Degraded"
  hs.message = conditions.Stalled.message
elseif holds("Reconciling") then
  if obj.spec.paused then
    hs.status = "Suspended"
  end
  hs.message = conditions.Reconciling.message
elseif holds("Ready") then
  hs.status = "Healthy"
  hs.message = conditions.Ready.message
elseif conditions.Ready ~= nil then
  -- The revision is proved, and some of its pods are lost for now.
  hs.message = conditions.Ready.message
end

return hs
