"""What the soak works on, and the ledger: what each workload was asked for, and what should come of it.

The ledger is written by the driver alone. It knows nothing of the operator's statuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from benchmarks.api import Object
from benchmarks.fleet import DEPLOYMENT, OURS, Kind

LABEL = "tripswitch.dev/circuit-breaker"
MARK = "soak"
"""Label of the pods that are followed; its value is the role of their workload."""
WITH_HOOKS = "soak-hooks"
"""Label of the GuardedDeployments that have hooks."""
ALARM = "HighErrorRate"
BAKE_SECONDS = 60.0
DEADLINE_SECONDS = 120
"""progressDeadlineSeconds of all but StatefulSets: it ends rollouts whose failures do not come often enough (ADR 19)."""

PLAIN = replace(
    DEPLOYMENT, name="plain Deployment", rolling={"progressDeadlineSeconds": DEADLINE_SECONDS}
)
"""A Deployment with the default strategy."""
STATEFUL_SET = replace(
    DEPLOYMENT,
    name="StatefulSet",
    kind="StatefulSet",
    plural="statefulsets",
    store="/registry/statefulsets/",
    rolling={"serviceName": "web"},
)
BREAKERS = replace(OURS, kind="DeploymentCircuitBreaker", plural="deploymentcircuitbreakers")

OFTEN = ("crash", "oom", "start-error", "image-pull")
"""Each of these pods fails again and again."""
BAD = (*OFTEN, "config-error", "never-ready")


class Role(StrEnum):
    """The kinds of workload in the soak."""

    OWNED = "owned"
    OWNED_ALARMS = "owned-alarms"
    OWNED_HOOKS = "owned-hooks"
    DEPLOYMENT = "deployment"
    DEPLOYMENT_ALARMS = "deployment-alarms"
    STATEFUL_SET = "stateful-set"


SHARES: Mapping[Role, int] = {
    Role.OWNED: 45,
    Role.OWNED_ALARMS: 8,
    Role.OWNED_HOOKS: 12,
    Role.DEPLOYMENT: 18,
    Role.DEPLOYMENT_ALARMS: 5,
    Role.STATEFUL_SET: 12,
}
OWNED = frozenset({Role.OWNED, Role.OWNED_ALARMS, Role.OWNED_HOOKS})
WITH_ALARMS = frozenset({Role.OWNED_ALARMS, Role.DEPLOYMENT_ALARMS})


@dataclass
class Asked:
    """One template that a workload was given. Times are of the wall clock, in seconds."""

    version: str
    behaviour: str | None
    at: float
    fired: list[float] = field(default_factory=list)
    """When the operator was told that its alarm fires."""
    continued: dict[str, float] = field(default_factory=dict)
    """When a person answered the hook of a stage with CONTINUE."""
    stopped: float | None = None
    """When a person answered a hook with ROLLBACK."""

    @property
    def is_good(self) -> bool:
        """Whether it has to complete, if nothing newer comes."""
        return self.behaviour is None and not self.fired and self.stopped is None


@dataclass
class Subject:
    """One workload, and all that was asked of it."""

    name: str
    space: str
    role: Role
    by_label: bool = False
    """Guarded by its label; otherwise by a DeploymentCircuitBreaker of its own."""
    ordered: bool = False
    """A StatefulSet whose controller waits for each pod (OrderedReady)."""
    stages: tuple[str, ...] = ()
    """Where it has a PAUSE hook."""
    asked: list[Asked] = field(default_factory=list)
    there: bool = True

    @property
    def kind(self) -> Kind:
        """What it is to the API server."""
        if self.role in OWNED:
            return OURS
        return STATEFUL_SET if self.role is Role.STATEFUL_SET else PLAIN

    @property
    def path(self) -> str:
        """URL path of the workload."""
        return self.kind.path(self.space, self.name)

    @property
    def breaker_path(self) -> str:
        """URL path of its DeploymentCircuitBreaker."""
        name = f"{self.name}-{self.kind.kind.lower()}" if self.by_label else self.name
        return BREAKERS.path(self.space, name)

    @property
    def behaviours(self) -> tuple[str, ...]:
        """How its templates may fail.

        A StatefulSet has no progress deadline of its own, and its breaker would wait 600 s for pods of which one
        at a time fails once.
        """
        return OFTEN if self.role is Role.STATEFUL_SET else BAD

    def find(self, version: str) -> Asked | None:
        """Return what was asked by a version."""
        return next((one for one in self.asked if one.version == version), None)

    def body(self, replicas: int) -> Object:
        """Return the workload as it is created, with the first template that was asked for."""
        first = self.asked[0]
        more: Object = {}
        if self.role in OWNED:
            # Not of others: their own controllers delete what a rollback needs after so many failed revisions.
            more = {"revisionHistoryLimit": 3, "progressDeadlineSeconds": DEADLINE_SECONDS}
        if self.role is Role.STATEFUL_SET:
            more["podManagementPolicy"] = "OrderedReady" if self.ordered else "Parallel"
        if self.role is Role.OWNED_HOOKS:
            hook = {"targetType": "PAUSE", "lifecycleStages": list(self.stages)}
            more["deploymentConfiguration"] = {"lifecycleHooks": [hook]}
        if self.role is Role.OWNED_ALARMS:
            more["deploymentConfiguration"] = self._alarms()
        body = self.kind.body(
            self.name, replicas, version=first.version, behaviour=first.behaviour, spec=more
        )
        body["spec"]["template"]["metadata"]["labels"][MARK] = self.role.value
        if self.by_label:
            body["metadata"]["labels"] = {LABEL: "enforce"}
        if self.stages:
            body["metadata"]["labels"] = {WITH_HOOKS: "yes"}
        return body

    def breaker(self) -> Object | None:
        """Return the DeploymentCircuitBreaker to create; None where a label does it, or none is needed."""
        if self.role in OWNED or self.by_label:
            return None
        target = {"apiVersion": "apps/v1", "kind": self.kind.kind, "name": self.name}
        return {
            "apiVersion": BREAKERS.group,
            "kind": BREAKERS.kind,
            "metadata": {"name": self.name},
            "spec": {
                "targetRef": target,
                **(self._alarms() if self.role in WITH_ALARMS else {}),
            },
        }

    def _alarms(self) -> Object:
        asked = {"alarmNames": [ALARM], "matchLabels": {"app": self.name}}
        return {"alarms": asked, "bakeTimeInMinutes": int(BAKE_SECONDS // 60)}


Ledger = dict[str, Subject]
"""By name; a name is used once."""
