"""What a GuardedDeployment does differently with the fields of a Deployment. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tripswitch.api.identity import API_VERSION, KIND
from tripswitch.api.template import read_template
from tripswitch.api.tolerant import field, mapping, objects, read_int, read_text
from tripswitch.cluster.selectors import selector_matches
from tripswitch.domain.rules.health import (
    FIRST_PATIENCE,
    LEAST_PATIENCE,
    PROOF_SECONDS,
    UNPROBED_READY_SECONDS,
)
from tripswitch.domain.rules.progress_deadline import DEFAULT_SECONDS, compute_progress_deadline
from tripswitch.domain.values.workload import Readiness, Spec, Template

Raw = Mapping[str, Any]


def describe_differences(deployment: Raw) -> Iterator[str]:
    """Yield what is worth knowing about the fields of one Deployment."""
    spec = field(deployment, "spec")
    template = read_template(field(spec, "template"), "")
    yield from _describe_missing_probes(spec)
    yield from _describe_progress(spec, template)
    yield from _describe_slow_start(spec, template.readiness)
    yield from _describe_repeats(field(spec, "template", "spec"))


def _describe_missing_probes(spec: Any) -> Iterator[str]:
    """Rule H1: without a probe a pod must be Ready for some time."""
    containers = objects(field(spec, "template", "spec", "containers"))
    bare = [read_text(one.get("name")) for one in containers if one.get("readinessProbe") is None]
    if bare and field(spec, "minReadySeconds") is None:
        yield (
            f"no readiness probe in container {', '.join(bare)}: a pod counts as healthy after "
            f"{UNPROBED_READY_SECONDS} s Ready; add a probe or set minReadySeconds"
        )


def _describe_progress(spec: Any, template: Template) -> Iterator[str]:
    """Rules P1 and P2: a rollout without progress fails, and needs time for a pod to be healthy."""
    readiness = template.readiness
    given = field(spec, "progressDeadlineSeconds")
    needed = compute_progress_deadline(Spec(1, template), readiness)
    settling = PROOF_SECONDS if readiness.all_probed else UNPROBED_READY_SECONDS
    if field(spec, "minReadySeconds") is None and 0 < read_int(given) <= settling:
        yield (
            f"progressDeadlineSeconds {given} is refused: it must be more than the {settling:.0f} s "
            "after which a pod counts as healthy; raise it or set minReadySeconds"
        )
    elif given is None and needed > DEFAULT_SECONDS:
        yield f"progressDeadlineSeconds is not given and {needed} by default, for the startup probe"
    elif readiness.startup and 0 < read_int(given) < needed:
        yield (
            f"the startup probe gives a pod {readiness.startup:.0f} s to start, and a rollout fails "
            f"after progressDeadlineSeconds {given} without one more healthy pod: leave it out, or "
            f"set it to {needed} or more"
        )


def _describe_slow_start(spec: Any, readiness: Readiness) -> Iterator[str]:
    """Rule F4: a pod that is not Ready in time fails. A patient liveness probe hints at that."""
    containers = objects(field(spec, "template", "spec", "containers"))
    patience = max(
        (read_int(field(one, "livenessProbe", "initialDelaySeconds")) for one in containers),
        default=0,
    )
    later = max(readiness.budget, LEAST_PATIENCE)
    if readiness.startup or patience <= later:
        return
    yield (
        f"a pod may need long to start (its livenessProbe waits {patience} s), and a pod that is not "
        "Ready in time counts as a failure and is replaced: "
        f"{max(readiness.budget, FIRST_PATIENCE):.0f} s after its containers started in the first "
        f"rollout, later {later:.0f} s or three times as long as the completed revision took; if it "
        "may need longer, set healthCheckGracePeriodSeconds or a startupProbe"
    )


def _describe_repeats(pod: Any) -> Iterator[str]:
    for one in _repeated(field(pod, "imagePullSecrets"), "name"):
        yield f"pull secret {one} is given more than once, as a Deployment takes it"
    for one in _repeated(field(pod, "hostAliases"), "ip"):
        yield f"host alias {one} is given more than once, as a Deployment takes it"
    for container in (*objects(field(pod, "initContainers")), *objects(field(pod, "containers"))):
        of = f"of container {read_text(container.get('name'))}"
        for one in _repeated(container.get("env"), "name"):
            yield (
                f"variable {one} {of} is given more than once: the last one wins, as in a Deployment"
            )
        for one in _repeated(container.get("ports"), "containerPort", "protocol"):
            yield f"port {one} {of} has more than one name, as a Deployment takes it"


def _repeated(items: Any, *keys: str) -> list[str]:
    """Return what more than one item has in common: ``8080/TCP``."""
    names = Counter("/".join(str(one.get(key, "TCP")) for key in keys) for one in objects(items))
    return [name for name, times in names.items() if times > 1]


def describe_references(other: Raw, names: frozenset[str]) -> Iterator[str]:
    """Yield where another object points at a Deployment that is none any more."""
    for path in (("spec", "scaleTargetRef"), ("spec", "targetRef"), ("spec", "workloadRef")):
        target = field(other, *path)
        # KEDA's ScaledObject means a Deployment where it names no kind.
        named = read_text(field(target, "name"))
        if named in names and (read_text(field(target, "kind")) or "Deployment") == "Deployment":
            yield (
                f"{read_text(field(other, 'kind'))}/{read_text(field(other, 'metadata', 'name'))}: its "
                f"{path[-1]} is the Deployment {named}; make it apiVersion {API_VERSION}, kind {KIND}"
            )


def describe_budget(budget: Raw, deployments: Iterable[Raw]) -> Iterator[str]:
    """Yield for which Deployments a PodDisruptionBudget counts pods of both revisions.

    Kubernetes knows how many pods a Deployment should have. For a custom resource it adds up the
    sizes of all ReplicaSets, unless the budget is a number of pods that must stay.
    """
    if read_text(budget.get("kind")) != "PodDisruptionBudget":
        return
    name = "minAvailable" if field(budget, "spec", "minAvailable") is not None else "maxUnavailable"
    given, selector = field(budget, "spec", name), field(budget, "spec", "selector")
    if given is None or (name == "minAvailable" and isinstance(given, int)):
        return
    for one in deployments:
        if _namespace(one) == _namespace(budget) and _selects(selector, one):
            yield (
                f"PodDisruptionBudget/{read_text(field(budget, 'metadata', 'name'))}: {name} {given} counts "
                f"the pods of both revisions while {read_text(field(one, 'metadata', 'name'))} rolls out, "
                "so kubectl drain waits until the rollout has ended; give minAvailable as a number"
            )


def _namespace(manifest: Raw) -> str:
    return read_text(field(manifest, "metadata", "namespace"))


def _selects(selector: Any, deployment: Raw) -> bool:
    """Return whether a budget's selector selects a Deployment's pods; an empty one selects all."""
    labels = mapping(field(deployment, "spec", "template", "metadata", "labels"))
    return selector == {} or selector_matches(mapping(selector), labels)
