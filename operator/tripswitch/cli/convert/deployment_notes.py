"""What a GuardedDeployment does differently with the fields of a Deployment. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from yaml import MappingNode, Node

from tripswitch.cli.convert.nodes import find, items_of, number_of, text_of
from tripswitch.cluster.resources import API_VERSION, KIND

FIRST_HEALTH_DEADLINE = 300
LATER_HEALTH_DEADLINE = 60
"""Seconds a pod is given to become Ready: before and after a revision has completed (rule F4)."""
PROGRESS_DEADLINE = 600
"""Seconds without one more healthy pod (rule P1)."""
IMPLICIT_MIN_READY = 40
"""Seconds a pod without a readiness probe must be Ready (rule H1)."""

REPEATABLE: tuple[tuple[str, str, Callable[[Node], str]], ...] = (
    ("imagePullSecrets", "pull secret", lambda one: text_of(one, "name")),
    ("hostAliases", "host alias", lambda one: text_of(one, "ip")),
)


def describe_differences(deployment: MappingNode) -> Iterator[str]:
    """Yield what is worth knowing about the fields of one Deployment."""
    spec, pod = find(deployment, "spec"), find(deployment, "spec", "template", "spec")
    containers = list(items_of(pod, "containers"))
    bare = [one for one in containers if find(one, "readinessProbe") is None]
    deadline = number_of(spec, "progressDeadlineSeconds")
    if bare and find(spec, "minReadySeconds") is None:
        names = ", ".join(text_of(one, "name") for one in bare)
        yield (
            f"no readiness probe in container {names}: a pod counts as healthy after "
            f"{IMPLICIT_MIN_READY} s Ready; add a probe or set minReadySeconds"
        )
        if deadline and deadline <= IMPLICIT_MIN_READY:
            yield (
                f"progressDeadlineSeconds {deadline} is not longer than these "
                f"{IMPLICIT_MIN_READY} s: raise it, add a probe or set minReadySeconds"
            )
    sidecars = [
        one for one in items_of(pod, "initContainers") if text_of(one, "restartPolicy") == "Always"
    ]
    yield from _describe_slow_start(spec, [*containers, *sidecars], deadline)
    yield from _describe_repeats(pod, [*items_of(pod, "initContainers"), *containers])


def _describe_slow_start(
    spec: Node | None, containers: list[MappingNode], deadline: int | None
) -> Iterator[str]:
    startup = max((_startup_budget(one) for one in containers), default=0)
    readiness = max((_readiness_budget(one) for one in containers), default=0)
    needed = startup + readiness + LATER_HEALTH_DEADLINE
    if deadline and startup and needed > deadline:
        yield (
            f"the startup probe gives a pod {startup} s and the readiness probe {readiness} s, but "
            f"a rollout fails after progressDeadlineSeconds {deadline} without one more healthy "
            f"pod: leave it out or set it to {needed} or more"
        )
    elif not deadline and needed > PROGRESS_DEADLINE and deadline is None:
        yield (
            f"the probes give a pod {startup + readiness} s to start: progressDeadlineSeconds, "
            f"which is not given, is {needed} by default"
        )
    patience = max(
        (number_of(one, "livenessProbe", "initialDelaySeconds") or 0 for one in containers),
        default=0,
    )
    grace = number_of(spec, "healthCheckGracePeriodSeconds") or 0
    later = grace + max(readiness, LATER_HEALTH_DEADLINE)
    if not startup and patience > later:
        first = grace + max(readiness, FIRST_HEALTH_DEADLINE)
        yield (
            f"a pod may need long to start (its livenessProbe waits {patience} s), and a pod that is "
            f"not Ready in time counts as a failure and is replaced: {first} s after its containers "
            f"started in the first rollout, later {later} s or three times as long as the completed "
            "revision took; if it may need longer, set healthCheckGracePeriodSeconds or a startupProbe"
        )


def _startup_budget(container: MappingNode) -> int:
    """Return how many seconds a startup probe gives; 0 if there is none."""
    probe = find(container, "startupProbe")
    if not isinstance(probe, MappingNode):
        return 0
    delay = number_of(probe, "initialDelaySeconds") or 0
    failures = number_of(probe, "failureThreshold") or 3
    return delay + failures * (number_of(probe, "periodSeconds") or 10)


def _readiness_budget(container: MappingNode) -> int:
    """Return how many seconds a readiness probe may take to succeed (B of rule F4)."""
    probe = find(container, "readinessProbe")
    if not isinstance(probe, MappingNode):
        return 0
    period = number_of(probe, "periodSeconds") or 10
    timeout = number_of(probe, "timeoutSeconds") or 1
    failures = number_of(probe, "failureThreshold") or 3
    successes = number_of(probe, "successThreshold") or 1
    delay = number_of(probe, "initialDelaySeconds") or 0
    return delay + (failures + successes - 1) * max(period, timeout) + timeout


def _describe_repeats(pod: Node | None, containers: list[MappingNode]) -> Iterator[str]:
    for name, word, key in REPEATABLE:
        for repeated in _repeated(items_of(pod, name), key):
            yield f"{word} {repeated} is given more than once, which Kubernetes takes"
    for one in containers:
        container = text_of(one, "name")
        for repeated in _repeated(items_of(one, "env"), lambda item: text_of(item, "name")):
            yield (
                f"variable {repeated} of container {container} is given more than once: the last "
                "one wins, as in a Deployment"
            )
        for repeated in _repeated(items_of(one, "ports"), _port):
            yield f"port {repeated} of container {container} has more than one name, which is kept"


def _port(item: Node) -> str:
    return f"{text_of(item, 'containerPort')}/{text_of(item, 'protocol') or 'TCP'}"


def _repeated(items: Iterator[MappingNode], key: Callable[[Node], str]) -> list[str]:
    return [name for name, times in Counter(map(key, items)).items() if times > 1]


def describe_references(node: MappingNode, names: frozenset[str]) -> Iterator[str]:
    """Yield where another object points at a Deployment that is none any more."""
    for path in (("spec", "scaleTargetRef"), ("spec", "targetRef"), ("spec", "workloadRef")):
        target = find(node, *path)
        # KEDA's ScaledObject means a Deployment where it names no kind.
        if (
            isinstance(target, MappingNode)
            and (text_of(target, "kind") or "Deployment") == "Deployment"
            and text_of(target, "name") in names
        ):
            yield (
                f"{text_of(node, 'kind')}/{text_of(node, 'metadata', 'name')}: its {path[-1]} is the "
                f"Deployment {text_of(target, 'name')}; make it apiVersion {API_VERSION}, kind {KIND}"
            )
