"""A small model of rollout and breaker, written from rules B, C, P, R6, R7 and S3 alone.

It knows versions, not pods: which one is the target, which one is wanted, which one a rollback may go
to, and which one has all its pods healthy (``full``). It uses nothing of ``tripswitch.domain``. Its world
is simple: the breaker trips at ``THRESHOLD`` failures, no success resets the count, and new pods all fit
beside the old ones, so an old revision keeps its pods until another one completes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

THRESHOLD = 3
OPEN = ("PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
RUNNING = ("IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
SUCCEEDED = ("SUCCESSFUL", "ROLLBACK_SUCCESSFUL")


@dataclass(frozen=True)
class Model:
    """What a person could say about a GuardedDeployment without looking at a single pod."""

    status: str = "IN_PROGRESS"
    target: str = "v1"
    desired: str = "v1"
    last: str | None = None
    full: str | None = None
    count: int = 0
    states: dict[str, str] = field(default_factory=lambda: {"v1": "IN_PROGRESS"})
    paused: bool = False
    enabled: bool = True
    rollback: bool = True
    empty: bool = False
    """``replicas: 0``."""
    held: bool = False
    """Pods of a failed rollback still wait, and may get on after all (F10)."""
    gone: frozenset[str] = frozenset()
    """Revisions whose ReplicaSet was deleted and not made again."""
    late: bool = False
    """The progress deadline passed while nobody was to trip."""

    @property
    def is_rollback(self) -> bool:
        """Whether the rollout is of kind ROLLBACK."""
        return self.status.startswith("ROLLBACK")

    @property
    def watched(self) -> bool:
        """S3, R7."""
        return self.status in RUNNING and self.enabled and not self.paused

    # --- what happens ---

    def fail(self) -> Model:
        """One pod of the target fails once (T5)."""
        if not self.watched:
            return self
        counted = replace(self, count=self.count + 1)
        return counted.trip() if counted.count >= THRESHOLD else counted

    def fail_now(self) -> Model:
        """A failure for which the policy says FailNow (F6)."""
        return replace(self, count=self.count + 1).trip() if self.watched else self

    def heal(self) -> Model:
        """All pods of the target become healthy (R5)."""
        keeps_pods = self.status in OPEN or self.status in SUCCEEDED or self.held
        healed = replace(self, full=self.target) if keeps_pods and not self.empty else self
        return healed.settle()

    def wait(self) -> Model:
        """Nothing gets better for longer than the progress deadline (P1)."""
        if self.watched:
            return self.trip()
        return replace(self, late=self.late or (self.status in RUNNING and not self.paused))

    def enable(self) -> Model:
        """The breaker is switched on; what was late before still is (P1)."""
        return replace(self, enabled=True).judge()

    def lose_pods(self) -> Model:
        """Somebody deletes all healthy pods; their ReplicaSets make new ones."""
        return replace(self, full=None)

    def lose_set(self) -> Model:
        """Somebody deletes the ReplicaSet of the last completed revision (B8)."""
        lost = self.last
        assert lost is not None
        kept = lost if lost == self.desired else None
        made_again = lost == self.target and self.status in (*OPEN, *SUCCEEDED)
        return replace(
            self,
            last=kept,
            full=None if self.full == lost else self.full,
            gone=self.gone if made_again else self.gone | {lost},
        )

    def forget(self) -> Model:
        """History drops a revision whose ReplicaSet is gone; the newest keeps its number."""
        (*_, newest) = self.states
        stay = {self.desired, self.target, newest}
        states = {v: state for v, state in self.states.items() if v in stay or v not in self.gone}
        return replace(self, states=states, gone=self.gone & states.keys())

    # --- what people ask for ---

    def apply(self, version: str) -> Model:
        """C3, B6."""
        if version == self.desired:
            return self
        wanted = replace(self, desired=version)
        if self.target == version and self.status in (*OPEN, *SUCCEEDED):
            return wanted
        return wanted.stopped().start(version)

    def retry(self) -> Model:
        """C1."""
        if self.states[self.desired] not in ("FAILED", "STOPPED"):
            return self
        return self.stopped().start(self.desired)

    def stop(self, kind: str) -> Model:
        """C2, of the rollout that is going on."""
        if self.status not in OPEN:
            return self
        goes_back = kind == "ROLLBACK" and not self.is_rollback
        stopped = self.stopped()
        return stopped.go_back() if goes_back else stopped

    def pause(self) -> Model:
        """R7."""
        return replace(self, paused=True)

    def resume(self) -> Model:
        """R7."""
        status = "IN_PROGRESS" if self.status == "PENDING" else self.status
        gone = self.gone - {self.target} if self.status == "PENDING" else self.gone
        return replace(self, paused=False, status=status, gone=gone).settle().judge()

    def scale_to_zero(self) -> Model:
        """R6."""
        return replace(self, empty=True, full=None, held=False).settle()

    def scale_up(self) -> Model:
        """R6: what proved nothing begins again."""
        up = replace(self, empty=False)
        if self.empty and self.status in SUCCEEDED and self.last != self.target:
            return up.start(self.target, rollback=self.is_rollback)
        return up

    # --- what follows ---

    def start(self, version: str, *, rollback: bool = False) -> Model:
        """Begin a rollout; a revision that is rolled out is nothing to go back to (B1)."""
        status = "ROLLBACK_IN_PROGRESS" if rollback else "PENDING" if self.paused else "IN_PROGRESS"
        has_set = version in self.states and version not in self.gone
        made = {version} if has_set or status != "PENDING" else set()
        return replace(
            self,
            status=status,
            gone=(self.gone | {version}) - made,
            target=version,
            last=None if rollback or self.last == version else self.last,
            count=0,
            held=False,
            late=False,
            states={**self.states, version: "IN_PROGRESS"},
        ).settle()

    def stopped(self) -> Model:
        """A rollout that is going on is cut short."""
        if self.status not in OPEN:
            return self
        return replace(self, status="STOPPED", states={**self.states, self.target: "STOPPED"})

    def trip(self) -> Model:
        """B1, B4, B5."""
        failed = replace(self, states={**self.states, self.target: "FAILED"})
        if self.is_rollback:
            return replace(failed, status="ROLLBACK_FAILED", held=not self.empty)
        failed = replace(failed, status="FAILED")
        return failed.go_back() if self.rollback else failed

    def judge(self) -> Model:
        """P1, where it was too late already before anybody watched."""
        return self.trip() if self.late and self.watched else self

    def go_back(self) -> Model:
        """B1; B3 where there is nothing to go back to."""
        return self if self.last is None else self.start(self.last, rollback=True)

    def settle(self) -> Model:
        """R5: complete, if nothing is missing."""
        if self.paused or not (self.empty or self.full == self.target):
            return self
        if self.status not in RUNNING and not (self.held and self.full == self.target):
            return self
        return replace(
            self,
            held=False,
            status="ROLLBACK_SUCCESSFUL" if self.is_rollback else "SUCCESSFUL",
            last=self.last if self.empty else self.target,
            states={**self.states, self.target: "COMPLETED"},
        )
