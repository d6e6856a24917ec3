"""A node's side of a pod: what the kubelet writes when something happens to a container.

The recording of a real kubelet that this follows is in the design notes: ``restartCount`` rises when the
next run starts, a run that failed to start is an ended run, a back-off follows the second end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from tests.sim.api import ApiServer
from tests.sim.consistency import OVER, compute_phase
from tests.sim.objects import RawPod
from tripswitch.domain.rules.ended_runs import RESTARTED_ALL
from tripswitch.domain.rules.start_attempts import is_trouble_of_node
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodPhase
from tripswitch.domain.values.time import Instant

BACK_OFFS = (10, 20, 40, 80, 160, 300)
ATTEMPTS = ("ErrImagePull", "CreateContainerConfigError")
"""What a container waits for right after an attempt to start it failed."""


class Fleet(Protocol):
    """What a kubelet has to know of the nodes."""

    def is_alive(self, name: str) -> bool: ...
    def can_report(self, name: str) -> bool: ...
    def choose(self, wanted: str) -> str: ...


class Handle:
    """One pod, as its kubelet holds it. ``skew``: how many seconds the node's clock is fast."""

    def __init__(
        self, api: ApiServer, uid: str, clock: Callable[[], Instant], skew: float, nodes: Fleet
    ) -> None:
        self._api = api
        self._clock = clock
        self._nodes = nodes
        self._untold: RawPod | None = None
        """What its kubelet knows and could not write."""
        self.uid = uid
        self.skew = skew
        self.pulls = True
        """Whether its kubelet comes to pull images for it."""
        self.identify: Callable[[RawPod, str], str] = lambda _pod, _name: ""
        """Returns the ``imageID`` of a container that begins to run."""

    @property
    def pod(self) -> RawPod:
        """How it really is: the latest version, and what its kubelet could not write."""
        known, untold = self._api.pods[self.uid], self._untold
        if untold is None:
            return known
        return replace(
            untold,
            version=known.version,
            owner=known.owner,
            deleting=known.deleting,
            disrupted=known.disrupted or untold.disrupted,
        )

    @property
    def alive(self) -> bool:
        """Whether its kubelet still starts containers."""
        pod = self._api.pods.get(self.uid)
        return pod is not None and pod.live and self._nodes.is_alive(pod.node)

    def flush(self) -> None:
        """Write what could not be written."""
        if self._untold is not None and self.uid in self._api.pods:
            self._report(self.pod)

    @property
    def written(self) -> Instant:
        """The time as this node writes it: whole seconds, by its own clock."""
        return float(math.floor(self._clock() + self.skew))

    def find(self, name: str) -> ContainerView:
        """Return a container."""
        return next(c for c in self.pod.containers if c.name == name)

    def first(self, role: ContainerRole) -> ContainerView | None:
        """Return the first container of a role, if there is one."""
        return next((c for c in self.pod.containers if c.role is role), None)

    # The node ----------------------------------------------------------------------------------

    def schedule(self, node: str) -> None:
        """Give it a node; the kubelet takes notice and writes its first status."""
        taken = self._nodes.choose(node)
        bound = replace(self.pod, node=taken, waiting_for="", ready_written=self.written)
        if self._nodes.can_report(taken):
            self._write(bound, [self._waits(c) for c in self.pod.containers])
        else:
            self._api.put_pod(bound)

    def hold(self, words: str) -> None:
        """Say what it waits for (the scheduler, a volume)."""
        self._api.put_pod(replace(self.pod, waiting_for=words))

    def lose_node(self) -> None:
        """The node stops reporting: the control plane takes Ready away, containers say what they said."""
        pod = self._api.pods[self.uid]
        self._api.put_pod(
            replace(pod, ready=False, ready_really=None, ready_written=self.written, by_node=True)
        )

    def return_node(self) -> None:
        """The node reports again, and the pod is as Ready as it was."""
        self._write(replace(self.pod, by_node=False), list(self.pod.containers), ready=True)

    # Containers --------------------------------------------------------------------------------

    def wait(self, name: str, reason: str, message: str = "") -> None:
        """A container waits, before it ever ran or after it ended."""
        self._change(
            name,
            attempt=reason in ATTEMPTS and not is_trouble_of_node(message),
            ended=None,
            running_since=None,
            started=False,
            waiting=reason,
            message=message,
        )

    def run(self, name: str, *, started: bool = True) -> None:
        """A container runs; the first time, or once more."""
        one = self.find(name)
        again = one.last_ended if one.ended is None else one.ended
        counted = again is None or one.waiting == RESTARTED_ALL
        self._change(
            name,
            waiting=None,
            message="",
            ended=None,
            last_ended=again,
            restarts=one.restarts + (0 if counted else 1),
            running_since=self.written,
            started=started,
            image_id=self.identify(self.pod, name),
            slowly=not started,
        )

    def start(self, name: str) -> None:
        """The startup probe of a running container succeeds."""
        self._change(name, started=True)

    def end(self, name: str, end: Ended, *, blameless: bool = False) -> None:
        """A run ends."""
        one = self.find(name)
        fails = not (one.role is ContainerRole.INIT and end.exit_code == 0) and not blameless
        self._change(
            name,
            fails=fails,
            ended=replace(
                end, seconds=max(0.0, self.written - (one.running_since or self.written))
            ),
            waiting=None,
            running_since=None,
            started=False,
            message="",
        )

    def fail_to_start(self, name: str, end: Ended, reason: str) -> None:
        """A run that fails before it begins: an ended run, and the container waits at once."""
        one = self.find(name)
        again = one.last_ended is not None
        self._change(
            name,
            fails=True,
            ended=None,
            running_since=None,
            started=False,
            waiting=reason,
            last_ended=end,
            restarts=one.restarts + (1 if again else 0),
        )

    def back_off(self, name: str, reason: str = "CrashLoopBackOff") -> None:
        """An ended container waits for its next run."""
        one = self.find(name)
        self._change(
            name,
            ended=None,
            last_ended=one.ended or one.last_ended,
            waiting=reason,
            message=f"back-off restarting failed container {name}",
        )

    def rerun(self, blame: str) -> None:
        """The whole sandbox is made again (a reboot): everything that ran starts once more."""
        lost = Ended(137, blame, 0)
        again = []
        for one in self.pod.containers:
            done = one.ended if one.role is ContainerRole.INIT else lost
            if one.running_since is None and one.ended is None:
                again.append(one)
                continue
            runs = one.role is not ContainerRole.INIT
            again.append(
                replace(
                    one,
                    restarts=one.restarts + 1,
                    last_ended=done,
                    running_since=self.written if runs else None,
                    started=runs,
                )
            )
        self._write(self.pod, again, ready=False)

    def renew(self) -> None:
        """A new sandbox: init containers run again, and all others are ended for it, with 143."""
        again = [
            replace(one, restarts=one.restarts + 1, last_ended=one.ended)
            if one.role is ContainerRole.INIT
            else replace(
                one,
                restarts=one.restarts + 1,
                last_ended=Ended(143, "Error"),
                running_since=self.written,
            )
            for one in self.pod.containers
        ]
        self._write(self.pod, again, ready=False)

    def resize(self, name: str) -> None:
        """Somebody changes a container's resources in place, and the kubelet ends it for that."""
        pod = self.pod
        resizable = [
            replace(c, resize_restarts=True) if c.name == name else c for c in pod.containers
        ]
        self._api.put_pod(replace(pod, generation=pod.generation + 1, containers=tuple(resizable)))
        self.end(name, Ended(143, "Error"), blameless=True)

    def restart_all(self, cause: str, end: Ended) -> None:
        """A container ends in a way for which all of them are removed and started again (KEP-5532)."""
        allowed = [replace(c, restarts_pod=c.name == cause) for c in self.pod.containers]
        self._api.put_pod(replace(self.pod, containers=tuple(allowed)))
        self.end(cause, end)
        removed = [
            replace(
                one,
                restarts=one.restarts + 1,
                last_ended=Ended(137, RESTARTED_ALL),
                waiting=RESTARTED_ALL,
                ended=None,
                running_since=None,
                started=False,
            )
            for one in self.pod.containers
        ]
        self._write(self.pod, removed, ready=False)

    def set_ready(self, *, ready: bool) -> None:
        """The readiness probe changes its mind."""
        self._write(self.pod, list(self.pod.containers), ready=ready)

    # The whole pod -----------------------------------------------------------------------------

    def fail(self, reason: str, message: str = "", *, disrupted: bool = False) -> None:
        """The kubelet ends the pod for good."""
        pod = self.pod
        ended = [
            c
            if c.running_since is None
            else replace(c, running_since=None, started=False, ended=Ended(137, "Error", 9))
            for c in pod.containers
        ]
        self._write(
            replace(
                pod,
                phase=PodPhase.FAILED,
                reason=reason,
                message=message,
                disrupted=pod.disrupted or disrupted,
                by_node=False,
            ),
            ended,
            ready=False,
        )

    def terminate(self) -> None:
        """The last words of a deleted pod: its containers end."""
        pod = self.pod
        ended = [
            c
            if c.running_since is None
            else replace(c, running_since=None, started=False, ended=Ended(143, "Error", 15))
            for c in pod.containers
        ]
        self._write(replace(pod, by_node=False), ended, ready=False)

    # -------------------------------------------------------------------------------------------

    def _waits(self, one: ContainerView) -> ContainerView:
        inits = any(c.role is ContainerRole.INIT for c in self.pod.containers)
        reason = (
            "PodInitializing" if inits and one.role is ContainerRole.APP else "ContainerCreating"
        )
        return replace(one, waiting=reason)

    def _change(
        self,
        name: str,
        *,
        fails: bool = False,
        attempt: bool = False,
        slowly: bool = False,
        **changes: Any,
    ) -> None:
        pod = self.pod
        if slowly:
            pod = replace(pod, starts_slowly=True)
        containers = [replace(c, **changes) if c.name == name else c for c in pod.containers]
        names = [c.name for c in pod.containers]
        if fails:
            pod = replace(pod, ledger=_raise(pod.ledger, names.index(name)))
        if attempt:
            pod = replace(pod, attempts=_raise(pod.attempts, names.index(name)))
        self._write(pod, containers)

    def _write(
        self, pod: RawPod, containers: list[ContainerView], *, ready: bool | None = None
    ) -> None:
        """Store containers, with the phase and the Ready condition that follow from them."""
        up = all(c.running_since is not None and c.started for c in containers if c.role != "init")
        wanted = (pod.ready if ready is None else ready) and up
        changes: dict[str, Any] = {}
        if wanted is not pod.ready:
            changes = {
                "ready": wanted,
                "ready_written": self.written,
                "ready_really": self._clock() if wanted else None,
            }
        phase = pod.phase if pod.phase in OVER else compute_phase(containers)
        if not up:
            changes["by_node"] = False
        self._report(replace(pod, containers=tuple(containers), phase=phase, **changes))

    def _report(self, pod: RawPod) -> None:
        """Write the pod's status, now or when the kubelet reaches the API server again."""
        tells = self._nodes.can_report(self._api.pods[self.uid].node or pod.node)
        self._untold = None if tells else pod
        if tells:
            self._api.put_pod(pod)


def _raise(counts: tuple[int, ...], index: int) -> tuple[int, ...]:
    return tuple(count + (number == index) for number, count in enumerate(counts))
