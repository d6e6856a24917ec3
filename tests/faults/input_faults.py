"""Hostile and broken input: nothing that can be stored may crash the operator or slow the others."""

from __future__ import annotations

import json
import statistics
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from kubernetes.client import ApiException

from tests.e2e.namespace import GROUP as GUARDED_GROUP
from tests.e2e.namespace import PLURAL, VERSION, guarded
from tests.faults.catalog import scenario
from tests.faults.judge import Expected, visible_failures
from tests.faults.lab import PATIENCE, Lab, Trial
from tests.faults.stories import (
    QUICK,
    complete,
    exactly,
    good,
    there_and_back,
)
from tests.support.strategies import build_values
from tools.cluster.audit import PODS, SETS
from tripswitch.api.crd import NAME, build_crd

GROUP = "Hostile and broken input"
SERVES = "no crash, no unexpected error, no busy loop; another object beside it as ever"
Object = dict[str, Any]
SCHEMA = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]


@scenario(GROUP, "specs made at random from the CRD's own schema", SERVES, runs=3, ci=1)
def random_specs(lab: Lab, run: int) -> str:
    """Most are refused by the API server; what it stores the operator must bear."""
    tally = {"stored": 0, "refused": 0}

    def fuzz(trial: Trial) -> None:
        strategy = build_values(SCHEMA["spec"], depth=5)

        @_examples(lab.seed + run, 60)
        @given(strategy)
        def apply(spec: Object) -> None:
            manifest = guarded(f"fuzz-{sum(tally.values())}")
            template = spec.get("template", {}).get("spec", {})
            spec |= {
                "selector": manifest["spec"]["selector"],
                "replicas": min(spec.get("replicas", 1), 2),
                "template": manifest["spec"]["template"],
            }
            if sum(tally.values()) % 2:
                spec["template"]["spec"] = {**template, **spec["template"]["spec"]}
            done = _try_apply(trial, {**manifest, "spec": spec})
            tally["stored" if done else "refused"] += 1

        apply()

    with _beside(lab, "random specs") as trial:
        fuzz(trial)
    assert tally["stored"], "the API server took none of them"
    return f"{tally['stored']} stored, {tally['refused']} refused by the API server"


@scenario(
    GROUP,
    "statuses made at random from the CRD's own schema, written by hand",
    f"healed from the ReplicaSets, no pod lost, at most one status write for each; {SERVES}",
    runs=3,
    ci=1,
)
def random_statuses(lab: Lab, run: int) -> str:
    """W2. A person with rights on the status can do worse, but not by accident."""
    written = 0
    with _beside(lab, "random statuses") as trial:
        complete(trial, good("victim"))
        pods = {pod.metadata.uid for pod in trial.world.pods("victim")}
        trial.until_quiet()
        before = _status_writes(trial, "victim")

        @_examples(lab.seed + run, 25)
        @given(build_values(SCHEMA["status"], depth=4))
        def write(status: Object) -> None:
            nonlocal written
            written += _try_status(trial, "victim", status)

        write()
        trial.until_quiet()
        healed = _status_writes(trial, "victim") - before
        assert healed <= written, f"{healed} writes after {written} changes"
        complete(trial, good("victim"))
        assert {pod.metadata.uid for pod in trial.world.pods("victim")} == pods, "pods were lost"
    assert written, "the API server took none of them"
    return f"{written} statuses written by hand, {healed} by the operator; no pod lost"


@scenario(
    GROUP, "names and labels at their limits", "242 characters work; more is refused in words", ci=1
)
def longest_names(lab: Lab, run: int) -> str:
    """A ReplicaSet's name has the hash, and must fit into 253 characters."""
    with _beside(lab, "longest names") as trial:
        name = "n" * 242
        labels = {f"{'p' * 240}.example/{'k' * 63}": "v" * 63, "app": "v" * 63}
        manifest = guarded(name, 2)
        manifest["spec"]["selector"]["matchLabels"] = labels
        manifest["spec"]["template"]["metadata"]["labels"] = labels
        complete(trial, manifest)
        manifest["metadata"]["name"] += "n"
        words = _refusal(trial, manifest)
        assert "no more than 242 characters" in words, words
    return "completed at 242; 243 refused"


@scenario(GROUP, "10 MiB of annotations", "refused by the API server; 250 KiB work", ci=1)
def heavy_annotations(lab: Lab, run: int) -> str:
    """The API server's own limits come first: 3 MiB for a request, 256 KiB for annotations."""
    with _beside(lab, "annotations") as trial:
        manifest = guarded("heavy", 2)
        manifest["metadata"]["annotations"] = {"big": "x" * 10 * 2**20}
        assert not _try_create(trial, manifest), "the API server took 10 MiB"
        manifest["metadata"]["annotations"] = {"big": "x" * 250 * 2**10}
        manifest["spec"]["template"]["metadata"]["annotations"] = {"big": "x" * 250 * 2**10}
        assert _try_create(trial, manifest), "the API server refused 250 KiB"
        trial.world.until_rollout("SUCCESSFUL", "heavy", PATIENCE)
    return "10 MiB refused; 250 KiB on the object and on its pods: completed"


@scenario(GROUP, "a template with 100 containers, each with a long image name", SERVES, ci=1)
def many_containers(lab: Lab, run: int) -> str:
    """The status names images: it must stay a status."""
    with _beside(lab, "many containers") as trial:
        for version in ("one", "two"):
            manifest = guarded("many", 2, image=f"{version}:1")
            first = manifest["spec"]["template"]["spec"]["containers"][0]
            manifest["spec"]["template"]["spec"]["containers"] = [
                {**first, "name": f"c{number}", "image": f"{version}.test/{'i' * 200}:{number}"}
                for number in range(100)
            ]
            complete(trial, manifest)
        size = len(json.dumps(trial.world.get("many")["status"]))
    return f"completed twice; a status of {size / 1024:.0f} KiB"


@scenario(
    GROUP,
    "words of a newer version: enum values nobody knows, in spec and in status",
    f"an unknown spec is left alone and told as an event; an unknown status is healed; {SERVES}",
    alone=True,
)
def newer_words(lab: Lab, run: int) -> str:
    """A CRD that is newer than the operator, after a downgrade."""
    crd = json.loads(lab.cluster.kubectl("get", f"crd/{NAME}", "--output=json"))
    with _beside(lab, "newer words") as trial:
        complete(trial, good("victim"))
        complete(trial, good("other"))
        _replace_crd(lab, _without_enums(crd))
        try:
            status = trial.world.status("victim")
            status["rollout"]["status"] = "LEVITATING"
            status["conditions"][0]["reason"] = "InventedLater"
            trial.until(lambda: _try_status(trial, "victim", status))
            trial.until(lambda: trial.world.status("victim")["rollout"]["status"] == "SUCCESSFUL")
            threshold = {"thresholdConfiguration": {"type": "QUADRATIC"}}
            change = {"spec": {"deploymentConfiguration": {"deploymentCircuitBreaker": threshold}}}
            trial.until_quiet()
            before = _status_writes(trial, "other")
            trial.world.patch("other", change)
            trial.world.until_event("InvalidSpec", "other")
            trial.until_quiet()
            assert _status_writes(trial, "other") == before, "it wrote about what it does not know"
            assert len(trial.world.pods("other")) == 4
            good_again = {"type": "COUNT"}
            threshold["thresholdConfiguration"] = good_again
            trial.world.patch("other", change)
        finally:
            _replace_crd(lab, crd)
    return "status healed; the unknown spec told as an event, its pods left alone"


@scenario(
    GROUP,
    "statuses edited to nonsense five times a second, beside another object's trip",
    "its trip latency at most twice the undisturbed one (or under 0.25 s)",
)
def latency(lab: Lab, run: int) -> str:
    """From the last failure being visible to the scale-down being visible; medians of five."""
    with lab.trial("latency") as trial:
        for name in ("noise-1", "noise-2"):
            complete(trial, good(name))
        quiet = [_time_trip(trial, f"quiet-{number}") for number in range(5)]
        stop = threading.Event()
        edits = [0]

        def disturb() -> None:
            number = 0
            while not stop.wait(0.2):
                number += 1
                status: Object = {"replicas": number, "revisions": [], "rollout": None}
                edits[0] += _try_status(trial, f"noise-{1 + number % 2}", status)

        noise = threading.Thread(target=disturb)
        noise.start()
        try:
            loud = [_time_trip(trial, f"loud-{number}") for number in range(5)]
        finally:
            stop.set()
            noise.join()
        before, after = statistics.median(quiet), statistics.median(loud)
        assert after <= max(2 * before, 0.25), f"{before:.3f} s before, {after:.3f} s beside it"
        trial.check(**{f"noise-{number}": Expected(tampered=True) for number in (1, 2)})
        return f"{before * 1000:.0f} ms alone, {after * 1000:.0f} ms beside {edits[0]} edits"


def _time_trip(trial: Trial, name: str) -> float:
    """Return how long after the last failure was visible the failed revision was lowered."""
    there_and_back(trial, name)
    failures: dict[str, int] = {}
    sets: dict[str, str] = {}
    visible = 0.0
    for one in trial.story():
        if one.kind == SETS and one.raw["metadata"]["ownerReferences"][0]["name"] == name:
            if sets.get(one.uid) and visible and one.raw["spec"]["replicas"] == 0:
                return one.seen - visible
            if one.raw["metadata"]["annotations"]["tripswitch.dev/revision"] == "2":
                sets[one.uid] = one.name
        if one.kind == PODS and one.raw["metadata"]["ownerReferences"][0]["uid"] in sets:
            failures[one.uid] = max(failures.get(one.uid, 0), visible_failures(one.raw))
            if sum(failures.values()) >= QUICK and not visible:
                visible = one.seen
    raise AssertionError(f"no trip of {name} was seen")


@contextmanager
def _beside(lab: Lab, name: str) -> Iterator[Trial]:
    """Do something hostile, then see that the operator has not ended and serves another object."""
    with lab.trial(name) as trial:
        yield trial
        there_and_back(trial, "api")
        trial.until_quiet()
        trial.check(**exactly("api"), victim=Expected(tampered=True))
        assert trial.kept.ends == 0, "the operator ended"


def _examples(number: int, examples: int) -> Callable[[Any], Any]:
    """Return a decorator: so many examples of this seed, none kept, none made smaller."""
    wanted = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    return lambda test: seed(number)(wanted(test))


def _try_apply(trial: Trial, manifest: Object) -> bool:
    """Create it through the client: sixty times kubectl would take longer than the test."""
    try:
        trial.world.custom.create_namespaced_custom_object(
            GUARDED_GROUP, VERSION, trial.world.namespace, PLURAL, manifest
        )
    except ApiException:
        return False
    return True


def _try_create(trial: Trial, manifest: Object) -> bool:
    """Create it as it is: `kubectl apply` would keep a copy of it in an annotation."""
    try:
        trial.world.kubectl("create", "--filename", "-", stdin=json.dumps(manifest))
    except subprocess.CalledProcessError:
        return False
    return True


def _refusal(trial: Trial, manifest: Object) -> str:
    try:
        trial.world.apply(manifest)
    except subprocess.CalledProcessError as refused:
        return str(refused.stderr)
    raise AssertionError("the API server took it")


def _try_status(trial: Trial, name: str, status: Object) -> bool:
    """Replace a status; False if the API server refuses it, or if the operator was faster."""
    raw = trial.world.get(name)
    raw["status"] = status
    try:
        trial.world.custom.replace_namespaced_custom_object_status(
            GUARDED_GROUP, VERSION, trial.world.namespace, PLURAL, name, raw
        )
    except ApiException:
        return False
    return True


def _status_writes(trial: Trial, name: str) -> int:
    """Count the operator's writes of one object's status that the API server has answered."""
    return sum(asked.path.endswith(f"/{name}/status") for asked in list(trial.plan.asked))


def _without_enums(node: Any) -> Any:
    """Return a schema that takes any word."""
    if isinstance(node, dict):
        known = isinstance(node.get("enum"), list) and node.get("type") == "string"
        return {k: _without_enums(v) for k, v in node.items() if not (known and k == "enum")}
    return [_without_enums(item) for item in node] if isinstance(node, list) else node


def _replace_crd(lab: Lab, crd: Object) -> None:
    crd["metadata"].pop("resourceVersion", None)
    crd["metadata"].pop("managedFields", None)
    lab.cluster.kubectl("replace", "--filename", "-", input=json.dumps(crd))
