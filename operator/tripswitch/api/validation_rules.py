"""Validation in CEL: what a schema cannot say, so that the API server refuses it and no webhook is needed."""

from __future__ import annotations

from tripswitch.api.schema import Rules

_LABELS = "self.template.metadata.labels"
_HAS_LABELS = "has(self.template.metadata) && has(self.template.metadata.labels)"
_NOT_IN_TEMPLATE = f"!({_HAS_LABELS}) || !(e.key in {_LABELS})"

_EARLY = "self.deploymentConfiguration.earlySuccessCriteria"

_THRESHOLD = (
    (
        "self.type == 'COUNT' || self.value <= 100",
        "value is a percentage of replicas and must be 1 to 100 (1 to 1000 with type COUNT)",
    ),
)

_ALARMS = (
    (
        "!self.enable || (has(self.alarmNames) && size(self.alarmNames) > 0)",
        "alarmNames must name at least one alerting rule, or set enable: false",
    ),
    (
        "!has(self.matchLabels) || self.matchLabels.all(k, k.matches('^[a-zA-Z_][a-zA-Z0-9_]*$'))",
        "matchLabels has a key that is no label name of Prometheus",
    ),
)

GUARDED_DEPLOYMENT: Rules = {
    (): (
        (
            "size(self.metadata.name) <= 242",
            "metadata.name must be no more than 242 characters: ReplicaSets add a hash to it",
        ),
    ),
    ("spec",): (
        (
            (
                "!has(self.selector.matchLabels) || self.selector.matchLabels.all(k, "
                f"{_HAS_LABELS} && k in {_LABELS} && {_LABELS}[k] == self.selector.matchLabels[k])"
            ),
            "spec.template.metadata.labels must match spec.selector.matchLabels",
        ),
        (
            (
                "!has(self.selector.matchExpressions) || self.selector.matchExpressions.all(e, "
                f"e.operator == 'Exists' ? !({_NOT_IN_TEMPLATE}) : "
                f"e.operator == 'DoesNotExist' ? {_NOT_IN_TEMPLATE} : "
                f"e.operator == 'In' ? !({_NOT_IN_TEMPLATE}) && has(e.values) && "
                f"{_LABELS}[e.key] in e.values : "
                f"({_NOT_IN_TEMPLATE}) || !has(e.values) || !({_LABELS}[e.key] in e.values))"
            ),
            "spec.template.metadata.labels must match spec.selector.matchExpressions",
        ),
        (
            (
                "!has(self.strategy) || !has(self.deploymentConfiguration) || "
                "!(has(self.deploymentConfiguration.minimumHealthyPercent) || "
                "has(self.deploymentConfiguration.maximumPercent))"
            ),
            "give either strategy or minimumHealthyPercent and maximumPercent, not both",
        ),
        (
            (
                "has(self.strategy) || !has(self.deploymentConfiguration) || "
                f"!has({_EARLY}) || !{_EARLY}.enable || "
                f"!has({_EARLY}.healthyPercent) || {_EARLY}.healthyPercent >= "
                "(has(self.deploymentConfiguration.minimumHealthyPercent) ? "
                "self.deploymentConfiguration.minimumHealthyPercent : 100)"
            ),
            (
                "earlySuccessCriteria.healthyPercent must not be less than minimumHealthyPercent "
                "(by default 100)"
            ),
        ),
        (
            (
                "!has(self.template.spec) || !has(self.template.spec.restartPolicy) || "
                "self.template.spec.restartPolicy == 'Always'"
            ),
            "spec.template.spec.restartPolicy must be Always",
        ),
        (
            "!has(self.template.spec) || !has(self.template.spec.ephemeralContainers)",
            (
                "spec.template.spec.ephemeralContainers cannot be set in a pod template; add one to a "
                "running pod with kubectl debug"
            ),
        ),
    ),
    ("spec", "selector"): (
        ("self == oldSelf", "spec.selector cannot be changed"),
        (
            (
                "(has(self.matchLabels) && size(self.matchLabels) > 0) || "
                "(has(self.matchExpressions) && size(self.matchExpressions) > 0)"
            ),
            "spec.selector must not be empty",
        ),
    ),
    ("spec", "strategy"): (
        (
            "!has(self.rollingUpdate) || !has(self.type) || self.type == 'RollingUpdate'",
            "rollingUpdate goes only with type RollingUpdate",
        ),
    ),
    ("spec", "strategy", "rollingUpdate"): (
        (
            (
                "!(has(self.maxSurge) && has(self.maxUnavailable) && "
                "self.maxSurge in [dyn(0), dyn('0%')] && self.maxUnavailable in [dyn(0), dyn('0%')])"
            ),
            "maxSurge and maxUnavailable cannot both be 0",
        ),
    ),
    (
        "spec",
        "deploymentConfiguration",
        "deploymentCircuitBreaker",
        "thresholdConfiguration",
    ): _THRESHOLD,
    ("spec", "deploymentConfiguration", "alarms"): _ALARMS,
    ("spec", "deploymentConfiguration", "earlySuccessCriteria"): (
        (
            (
                "!self.enable || (has(self.healthyPercent) && "
                "has(self.sourceServiceRevisionCleanup))"
            ),
            (
                "healthyPercent and sourceServiceRevisionCleanup (BLOCKING or DEFERRED) are required, or "
                "set enable: false"
            ),
        ),
    ),
}
"""CEL rules of a GuardedDeployment."""

_PROBED = (
    "has(self.template.spec) && self.template.spec.containers.all(c, has(c.readinessProbe)) && "
    "(!has(self.template.spec.initContainers) || self.template.spec.initContainers.all(c, "
    "!has(c.restartPolicy) || c.restartPolicy != 'Always' || has(c.readinessProbe)))"
)
_SETTLING = f"(has(self.minReadySeconds) ? self.minReadySeconds : ({_PROBED}) ? 10 : 40)"

GUARDED_DEPLOYMENT_RATCHETED: Rules = {
    ("spec",): (
        (
            (
                "!has(self.progressDeadlineSeconds) || self.progressDeadlineSeconds == 0 || "
                f"self.progressDeadlineSeconds > {_SETTLING} || (oldSelf.hasValue() && "
                "oldSelf.value().?progressDeadlineSeconds == self.?progressDeadlineSeconds && "
                "oldSelf.value().?minReadySeconds == self.?minReadySeconds)"
            ),
            (
                "progressDeadlineSeconds must be greater than minReadySeconds (by default 40 with a "
                "container that has no readiness probe, else 10), or 0"
            ),
        ),
    ),
}
"""Rules that an object stored before them may go on breaking, so that it can still be scaled (P2)."""

CIRCUIT_BREAKER: Rules = {
    ("spec",): (
        (
            (
                "!has(self.progressDeadlineSeconds) || self.progressDeadlineSeconds == 0 || "
                "!has(self.minReadySeconds) || self.progressDeadlineSeconds > self.minReadySeconds"
            ),
            "progressDeadlineSeconds must be greater than minReadySeconds, or 0",
        ),
    ),
    ("spec", "targetRef"): (
        (
            "self == oldSelf",
            "spec.targetRef cannot be changed; create another DeploymentCircuitBreaker",
        ),
    ),
    ("spec", "thresholdConfiguration"): _THRESHOLD,
    ("spec", "alarms"): _ALARMS,
}
"""CEL rules of a DeploymentCircuitBreaker.

P2 is checked here only where both values are given: the workload's own values stand in for a missing one,
and the API server does not know them.
"""
