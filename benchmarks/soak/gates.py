"""Hooks and alarms, recounted: no pod before an answer, no end that the answer or the alarm does not allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.api import Object
from benchmarks.fleet import VERSION
from benchmarks.pods import owner
from benchmarks.soak.subjects import Asked, Ledger

ANSWERED = {"CONTINUE": "SUCCEEDED", "ROLLBACK": "FAILED"}
ENDS = frozenset(ANSWERED.values())
ALARM_SECONDS = 5.0
"""How much later than the answer of the alarm server a completion may still be decided without it."""


@dataclass
class Hook:
    """One hook of one rollout, and what a person answered."""

    subject: str
    hook_id: str
    stage: str
    version: str
    answer: str = ""
    ends: set[str] = field(default_factory=set)


class Gates:
    """Everything that was ever seen of hooks and alarms."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.hooks: dict[str, Hook] = {}
        self._completed: dict[tuple[str, str], float] = {}
        """When a version of a workload was first called COMPLETED."""
        self._versions: dict[tuple[str, str], str] = {}
        """Version of each ReplicaSet, by workload's name and its own."""
        self._born: dict[tuple[str, str], float] = {}
        """When the first pod of a version was made."""

    def see_replica_set(self, raw: Object) -> None:
        """Take a ReplicaSet: it ties a revision to the version that was asked for."""
        template = raw["spec"]["template"]["metadata"]
        references = raw["metadata"].get("ownerReferences", [])
        for name in (one["name"] for one in references if one["uid"] == owner(raw)):
            version = template.get("annotations", {}).get(VERSION, "")
            self._versions[name, raw["metadata"]["name"]] = version

    def see_pod(self, raw: Object) -> None:
        """Take a pod."""
        metadata = raw["metadata"]
        made = datetime.fromisoformat(metadata["creationTimestamp"]).timestamp()
        self._born.setdefault((metadata["labels"]["app"], metadata["annotations"][VERSION]), made)

    def see_status(self, name: str, status: Object, at: float) -> None:
        """Take a status of a workload's rollouts."""
        for one in status.get("revisions", []):
            version = self._versions.get((name, one["replicaSet"]), "")
            if one["rolloutState"] == "COMPLETED" and version:
                self._completed.setdefault((name, version), at)

    def see_hooks(self, raw: Object) -> list[Hook]:
        """Take a GuardedDeployment; return the hooks that wait for a person and were not seen before."""
        status = raw.get("status", {})
        fresh = []
        for one in status.get("rollout", {}).get("hooks", []):
            hook = self.hooks.get(one["hookId"])
            if hook is None:
                if status["observedGeneration"] != raw["metadata"]["generation"]:
                    continue  # which template it is about is not certain
                annotations = raw["spec"]["template"]["metadata"]["annotations"]
                stage, version = one["lifecycleStage"], annotations[VERSION]
                hook = Hook(raw["metadata"]["name"], one["hookId"], stage, version)
                self.hooks[hook.hook_id] = hook
                fresh.append(hook)
            if one["status"] in ENDS:
                hook.ends.add(one["status"])
        return fresh

    def find_faults(self) -> list[str]:
        """Return what should not be."""
        faults = []
        for hook in self.hooks.values():
            words = f"{hook.subject}: hook {hook.hook_id} at {hook.stage}"
            allowed = {ANSWERED[hook.answer]} if hook.answer else set()
            faults += [
                f"{words} is {end} and was answered {hook.answer or 'nothing'}"
                for end in sorted(hook.ends - allowed)
            ]
        for name, subject in self._ledger.items():
            for asked in subject.asked:
                faults += [
                    f"{name}: template {asked.version} {words}"
                    for words in self._judge(name, subject.stages, asked)
                ]
        return faults

    def _judge(self, name: str, stages: tuple[str, ...], asked: Asked) -> list[str]:
        found = []
        key = (name, asked.version)
        born, completed = self._born.get(key), self._completed.get(key)
        if "PRE_SCALE_UP" in stages and born is not None:
            # A creationTimestamp has whole seconds.
            answered = asked.continued.get("PRE_SCALE_UP")
            if answered is None or born + 1 < answered:
                found.append("had pods before its hook was answered")
        if completed is not None:
            if not set(stages) <= set(asked.continued):
                found.append("was COMPLETED before its hooks were answered")
            if asked.stopped is not None:
                found.append("was COMPLETED and its hook was answered ROLLBACK")
            if asked.fired and asked.fired[0] + ALARM_SECONDS < completed:
                found.append("was COMPLETED although its alarm had fired")
        return found
