"""Where faults are tried: one throwaway cluster, and for each trial a namespace, a proxy and an
operator of its own that sees only that namespace. So trials do not disturb each other.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.namespace import Namespace
from tests.faults.judge import Expected, judge
from tests.faults.plan import FaultPlan, Rule
from tests.faults.proxy import FaultProxy
from tests.faults.witness import Witness
from tests.support.environment import Environment
from tools.cluster.audit import AuditLog, Trail, Version
from tools.cluster.control_plane import ControlPlane
from tools.cluster.processes import Startable
from tools.operator_process import OperatorProcess, install, write_kubeconfig

PATIENCE = 240.0
HOLD = 3.0
"""How long a line of the audit log waits for those before it, in seconds; and so each check."""


class Lab(Startable):
    """The cluster, who watches it, and the rights that operators get."""

    def __init__(self, directory: Path, seed: int, *, nodes: int = 3) -> None:
        self.directory = directory
        self.seed = seed
        self._nodes = nodes
        # Programs are away for a minute and more here: none is to take the nodes for lost when it is
        # back, before it has seen their Leases again. Pods that it marks would not be ours to keep.
        patient = {"kube-controller-manager": ["--node-monitor-grace-period=10m"]}
        self.cluster = ControlPlane(
            directory / "cluster", audit_bodies=True, extra_arguments=patient
        )
        self._rights = directory / "operator.kubeconfig"

    def start(self) -> None:
        """Start the cluster, and the witness who watches it."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.cluster.start()
        try:
            self.cluster.add_nodes(self._nodes)
            install(self.cluster.kubectl)
            write_kubeconfig(self.cluster.kubectl, self._rights)
            self.environment = Environment(
                provider="kwok",
                kubeconfig=str(self.cluster.kubeconfig),
                kubectl_path=str(self.cluster.kubectl_path),
                directory=str(self.directory),
                audit_log=str(self.cluster.audit_log),
            )
            self.written = Written(self.cluster.audit_log)
            self.witness = Witness(self.cluster)
            self.witness.start()
        except BaseException:
            self.cluster.stop()
            raise

    def stop(self) -> None:
        """Stop both."""
        self.witness.stop()
        self.cluster.stop()

    @contextmanager
    def trial(
        self,
        name: str,
        *rules: Rule,
        arguments: Sequence[str] = (),
        skew: float = 0.0,
        dates: Sequence[float] = (),
    ) -> Iterator[Trial]:
        """Run one operator behind a proxy with these faults, in a namespace of its own.

        Args:
            name: For its namespace and its files.
            rules: The faults.
            arguments: Of the operator.
            skew: So many seconds its clock is ahead of everybody else's; :class:`Clock` changes it.
            dates: See :meth:`FaultProxy.set_dates`.
        """
        words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
        namespace = f"{words}-{secrets.token_hex(3)}"
        self.cluster.kubectl("create", "namespace", namespace)
        world = Namespace(self.environment, namespace)
        plan = FaultPlan(self.seed, list(rules))
        authority = self.cluster.certificate_authority
        clock = Clock(self.directory / f"{namespace}.clock", skew)
        with FaultProxy(self.cluster.server, authority, plan, dates) as proxy:
            kubeconfig = proxy.write_kubeconfig(
                self._rights, self.directory / f"{namespace}.kubeconfig"
            )
            operator = OperatorProcess(
                kubeconfig,
                self.directory / f"{namespace}.log",
                arguments=["--namespace", namespace, *arguments],
                variables={"PYTHONPATH": str(clock.folder)},
            )
            trial = Trial(self, world, plan, Kept(operator), proxy, clock)
            try:
                trial.kept.start()
                yield trial
            finally:
                trial.kept.stop()
        if namespace in self.cluster.kubectl("get", "namespaces", "--output=name"):
            self.cluster.kubectl("delete", "namespace", namespace, "--wait=false")
        self.forget(namespace)

    def forget(self, namespace: str) -> None:
        """Drop what is known of a namespace whose story has been judged."""
        self.witness.forget(namespace)
        self.written.forget(namespace)


class Clock:
    """The wall clock of one Python process, so many seconds ahead of the real one; the monotonic one stays."""

    def __init__(self, folder: Path, ahead: float) -> None:
        self.folder = folder
        """To be put into PYTHONPATH."""
        self._ahead = folder / "ahead"
        folder.mkdir()
        self.set(ahead)
        (folder / "sitecustomize.py").write_text(
            "import time\n_read = time.time\n"
            f"time.time = lambda: _read() + float(open({str(self._ahead)!r}).read())\n"
        )

    def set(self, ahead: float) -> None:
        """Set it, also while the process runs."""
        new = self._ahead.with_suffix(".new")
        new.write_text(str(ahead))
        new.rename(self._ahead)


class Written:
    """What the audit log has of each namespace, until it is forgotten; for many threads."""

    def __init__(self, log: Path) -> None:
        self._trail = Trail(AuditLog(log), HOLD)
        self._versions: dict[str, list[Version]] = defaultdict(list)
        self._lock = threading.Lock()

    def story(self, namespace: str) -> list[Version]:
        """Return all that was done until now, in the order of taking effect."""
        time.sleep(HOLD)
        with self._lock:
            for version in self._trail.read(time.time()):
                self._versions[version.namespace].append(version)
            return sorted(self._versions[namespace], key=lambda one: one.at)

    def forget(self, namespace: str) -> None:
        """Drop a namespace whose story has been judged."""
        with self._lock:
            self._versions.pop(namespace, None)


class Kept:
    """An operator that is started again whenever it ends, as a kubelet would (without its back-off)."""

    def __init__(self, operator: OperatorProcess) -> None:
        self.operator = operator
        self.ends = 0
        self._stopping = threading.Event()
        self._held = threading.Lock()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.operator.start()
        self._thread.start()

    def kill(self) -> None:
        """End it with SIGKILL; it comes again."""
        with self._held:
            self.operator.kill()
            self.ends += 1
            if not self._stopping.is_set():
                self.operator.launch()

    @contextmanager
    def away(self) -> Iterator[None]:
        """End it with SIGKILL; it comes again when this is over."""
        with self._held:
            self.operator.kill()
            self.ends += 1
            yield
            self.operator.launch()

    def stop(self) -> None:
        """End it in order, for good."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(30)
        with self._held:
            self.operator.stop()

    def _keep(self) -> None:
        while not self._stopping.wait(0.1):
            with self._held:
                if self.operator.has_ended() and not self._stopping.is_set():
                    self.ends += 1
                    self.operator.launch()


@dataclass
class Trial:
    """One namespace with its operator and its faults."""

    lab: Lab
    world: Namespace
    plan: FaultPlan
    kept: Kept
    proxy: FaultProxy
    clock: Clock

    @property
    def operator(self) -> OperatorProcess:
        """The process."""
        return self.kept.operator

    def story(self) -> list[Version]:
        """Return all that was seen of the namespace, by a watch."""
        return self.lab.witness.story(self.world.namespace)

    def latest(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the objects of a kind that are there, by name."""
        return self.lab.witness.latest(self.world.namespace, kind)

    def check(self, **expected: Expected) -> None:
        """Hold everything that was seen against the rules; AssertionError if anything is wrong."""
        written = self.lab.written.story(self.world.namespace)
        problems = judge(self.story(), written, expected)
        log = self.operator.log.read_text()
        if "unexpected error while handling" in log:
            problems.append("the operator had an unexpected error, see its log")
        assert not problems, f"{self.operator.log}\n" + "\n".join(problems[:20])

    def until_quiet(self, seconds: float = 2.0) -> None:
        """Wait until the operator has written nothing for a while."""
        deadline = time.monotonic() + PATIENCE
        while True:
            before = self.writes()
            time.sleep(seconds)
            if self.writes() == before:
                return
            assert time.monotonic() < deadline, "the operator never comes to rest"

    def writes(self) -> int:
        """How many writes the operator has asked for, those of its Lease aside."""
        asked = [one for one in list(self.plan.asked) if one.writes]
        return sum(one.resource != "leases" for one in asked)

    def until(self, what: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait until something is true."""
        self.world.until_true(what, seconds)
