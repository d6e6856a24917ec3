"""Which revision each workload has to end with, from its pods and the ledger alone.

A revision is known by the annotation of its pods that the driver gave its template. What the operator's status
says is not looked at; a status is compared with what has to be there at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.api import Object
from benchmarks.fleet import VERSION
from benchmarks.pods import is_ready
from benchmarks.soak.subjects import BAKE_SECONDS, WITH_ALARMS, Asked, Ledger, Subject

SETTLED_SECONDS = 90.0
"""A revision that was whole and alone for so long while one process of the operator ran must be taken for COMPLETED:
its start on a busy machine and the 40 s of rule V2 are in it."""
ENDED_BADLY = frozenset({"ROLLBACK_SUCCESSFUL", "FAILED", "STOPPED"})


@dataclass
class Ending:
    """One workload as its pods show it."""

    replicas: int = 0
    version: str = ""
    """Of the template that is wished for."""
    pods: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """Version and readiness of each pod, by UID, without those on their way out."""
    whole: str = ""
    """The version that has all pods, and is alone."""
    since: float = 0.0
    proved: set[str] = field(default_factory=set)
    """Versions that must have been COMPLETED: whole for long enough while they were wished for."""
    sure: str = ""
    """What the template that is wished for has to go back to if it fails, empty: nobody can tell."""
    there: bool = True


class Endings:
    """Follows all workloads."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.found: dict[str, Ending] = {}
        self.launched = 0.0
        """When the operator was started last. A restart takes back what a bake has not written yet (A3)."""

    def see_workload(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a GuardedDeployment, a Deployment or a StatefulSet."""
        name = raw["metadata"]["name"]
        ending = self.found.setdefault(name, Ending())
        version = raw["spec"]["template"]["metadata"].get("annotations", {}).get(VERSION, "")
        if version != ending.version:
            ending.sure = self._find_sure(self._ledger[name], ending, at)
            ending.version = version
        ending.replicas, ending.there = raw["spec"]["replicas"], event != "DELETED"
        self._look(ending, at)

    def see_pod(self, event: str, raw: Object, at: float) -> None:
        """Take a version of a pod."""
        metadata = raw["metadata"]
        ending = self.found.setdefault(metadata["labels"]["app"], Ending())
        if event == "DELETED" or metadata.get("deletionTimestamp"):
            ending.pods.pop(metadata["uid"], None)
        else:
            ending.pods[metadata["uid"]] = metadata["annotations"][VERSION], is_ready(raw)
        self._look(ending, at)

    def _look(self, ending: Ending, at: float) -> None:
        versions = {version for version, _ in ending.pods.values()}
        ready = sum(ready for _, ready in ending.pods.values())
        whole = len(versions) == 1 and ready == len(ending.pods) == ending.replicas
        now = versions.pop() if whole else ""
        if now != ending.whole:
            ending.whole, ending.since = now, at

    def _find_sure(self, subject: Subject, ending: Ending, at: float) -> str:
        """Return the revision that must be COMPLETED when a new template comes; empty if that is not sure."""
        asked, before = subject.find(ending.whole), subject.find(ending.version)
        if asked is None or not asked.is_good or not set(subject.stages) <= set(asked.continued):
            return ""
        stopped = before.stopped if before is not None else None  # the way back may take no pods
        since = max([ending.since, self.launched, stopped or 0.0, *asked.continued.values()])
        baked = 1.5 * BAKE_SECONDS if subject.role in WITH_ALARMS else 0.0
        if at - since < baked + SETTLED_SECONDS:
            return ""
        if asked is before:
            ending.proved.add(ending.whole)
        return ending.whole if ending.whole in ending.proved else ""

    def find_faults(self, statuses: dict[str, str]) -> list[str]:
        """Return what should not be, once the world is quiet.

        ``statuses``: what the operator says of the rollout of each workload; empty where it has not looked.
        """
        faults = []
        for name, ending in self.found.items():
            if ending.there:
                subject = self._ledger[name]
                faults += _judge(subject, ending, statuses.get(name, ""))
        return faults


def _judge(subject: Subject, ending: Ending, status: str) -> list[str]:
    last = subject.asked[-1]
    if ending.version != last.version:
        return [f"{subject.name} has template {ending.version} and was given {last.version}"]
    wanted = {"SUCCESSFUL"} if last.is_good else ENDED_BADLY
    if not last.is_good and ending.sure:
        wanted = {"ROLLBACK_SUCCESSFUL"}
    if status not in wanted:
        words = f"{subject.name} ended as {status or 'not looked at'}"
        return [f"{words} after template {last.version} ({_describe(last)})"]
    if status not in ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL"):
        return []
    return _judge_pods(subject, ending, last)


def _judge_pods(subject: Subject, ending: Ending, last: Asked) -> list[str]:
    asked = subject.find(ending.whole)
    if asked is None:
        versions = sorted(
            f"{version}{'' if ready else '!'}" for version, ready in ending.pods.values()
        )
        return [f"{subject.name} of {ending.replicas} replicas ended with pods {versions}"]
    words = f"{subject.name} ended with version {ending.whole}"
    if not asked.is_good:
        return [f"{words}, which failed"]
    if last.is_good and asked is not last:
        return [f"{words} in place of {last.version}"]
    if not last.is_good and ending.sure and ending.whole != ending.sure:
        return [f"{words} in place of the last completed one, {ending.sure}"]
    return []


def _describe(asked: Asked) -> str:
    if asked.behaviour:
        return asked.behaviour
    if asked.fired:
        return "its alarm fired"
    return "stopped by a person" if asked.stopped is not None else "good"
