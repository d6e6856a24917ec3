"""The cluster all competitors run on, one after the other, and what is done with it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from benchmarks.api import Api
from benchmarks.etcd import Etcd, copies
from benchmarks.fleet import ARGO, DEPLOYMENT, OURS, Kind
from benchmarks.process import rest
from tools.cluster.audit import AuditLog
from tools.cluster.build import ensure
from tools.cluster.control_plane import ControlPlane
from tools.cluster.layout import free_ports
from tools.cluster.processes import Process
from tools.cluster.programs import PROGRAMS, minimum_go
from tools.cluster.toolchain import find_go, say
from tools.operator_process import OperatorProcess, install, write_kubeconfig

Object = dict[str, Any]
MODEL = "seedmodel"
PODS = "/registry/pods/"
REPLICA_SETS = "/registry/replicasets/"
PER_NAMESPACE = 25
"""Idle objects of one namespace: as a team may have, and no list of one is long."""


class Testbed:
    """``async with Testbed(directory) as testbed``: a cluster with the CRDs, and no controller of either kind."""

    def __init__(self, directory: Path, *, peers: bool = True, audit_bodies: bool = False) -> None:
        self.directory = directory
        self._peers = peers
        self.cluster = ControlPlane(directory / "cluster", audit_bodies=audit_bodies, report=say)
        self._models: dict[str, list[tuple[str, Object]]] = {}

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._start)
        self.etcd = Etcd(self.cluster.layout.ports["etcd"])
        self.audit = AuditLog(self.cluster.audit_log)
        self.api = Api(self.cluster.server, self.cluster.token, self.cluster.certificate_authority)
        await self.api.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.__aexit__()
        self.cluster.stop()

    def _start(self) -> None:
        self.cluster.start()
        self.cluster.add_nodes(8, pods=20_000)  # the largest fleet has 100,000
        install(self.cluster.kubectl)
        write_kubeconfig(self.cluster.kubectl, self.kubeconfig(OURS))
        if self._peers:
            self._install_argo()

    def _install_argo(self) -> None:
        crds = _argo_sources() / "manifests" / "crds"
        self.cluster.kubectl("apply", "--server-side", "--kustomize", str(crds))
        account = ("--namespace", "argo-rollouts", "argo-rollouts")
        self.cluster.kubectl("create", "namespace", "argo-rollouts")
        self.cluster.kubectl("create", "serviceaccount", *account)
        self.cluster.kubectl(
            *("create", "clusterrolebinding", "argo-rollouts", "--clusterrole=cluster-admin"),
            "--serviceaccount=argo-rollouts:argo-rollouts",
        )
        token = self.cluster.kubectl("create", "token", *account, "--duration=24h").strip()
        config = json.loads(self.kubeconfig(OURS).read_text())
        config["users"][0]["user"]["token"] = token
        self.kubeconfig(ARGO).write_text(json.dumps(config))

    def kubeconfig(self, kind: Kind) -> Path:
        """The kubeconfig of a kind's controller."""
        return self.directory / f"{kind.plural}.kubeconfig"

    @asynccontextmanager
    async def controller(
        self, kind: Kind, *, kill: bool = False, arguments: Sequence[str] = ()
    ) -> AsyncIterator[int]:
        """Run the kind's controller within the block; yields its process number at once.

        ``kill``: ours ends by SIGKILL, not in order. ``arguments``: more options for ours.
        The Deployment's is part of the controller manager, which runs anyway.
        """
        if kind is DEPLOYMENT:
            yield self.cluster.programs["kube-controller-manager"]
            return
        log = self.directory / f"{kind.plural}.log"
        if kind is OURS:
            # As in the image, the code is compiled: the first run here does it.
            compiled = {"PYTHONDONTWRITEBYTECODE": ""}
            operator = OperatorProcess(
                self.kubeconfig(kind), log, arguments=arguments, variables=compiled
            )
            operator.launch()
            try:
                yield operator.pid
            finally:
                await asyncio.to_thread(operator.kill if kill else operator.stop)
            return
        ports = list(free_ports().values())
        command = [
            str((await asyncio.to_thread(ensure, ["rollouts-controller"]))["rollouts-controller"]),
            f"--kubeconfig={self.kubeconfig(kind)}",
            f"--metricsPort={ports[0]}",
            f"--healthzPort={ports[1]}",
            "--leader-elect=false",
            "--loglevel=warn",
        ]
        process = Process(kind.name, command, log)
        process.start()
        try:
            yield process.pid
        finally:
            process.kill()

    async def namespace(self, name: str) -> str:
        """Make sure that a namespace is there, and that pods can be created in it."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self.api.request("POST", "/api/v1/namespaces", body, accept=[409])
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        for _ in range(600):
            if (await self.api.request("GET", account, accept=[404]))["kind"] != "Status":
                return name
            await asyncio.sleep(0.1)
        raise RuntimeError(f"namespace {name} has no service account")

    async def finish(
        self, kind: Kind, namespace: str, names: Iterable[str], seconds: float
    ) -> None:
        """Wait until the rollouts of the named objects are finished well."""
        open_ = set(names)

        def look(event: str, raw: Object, at: float) -> None:
            if kind.done(raw):
                open_.discard(raw["metadata"]["name"])

        async with self.api.watch(kind.path(namespace), look) as watch:
            if not await watch.until(lambda: not open_, seconds):
                raise RuntimeError(f"{kind.name}: not finished in {seconds:.0f} s: {sorted(open_)}")

    async def seed(
        self, kind: Kind, prefix: str, count: int, *, per_namespace: int = PER_NAMESPACE
    ) -> list[tuple[str, str]]:
        """Have ``count`` finished objects of 10 pods; returns namespace and name of each.

        To be called while no controller of that kind runs; the controller manager is started anew,
        because it would act on what it sees in the wrong order.
        """
        model = await self._model(kind)
        names = [f"{prefix}-{number:05}" for number in range(count)]
        parts = [names[at : at + per_namespace] for at in range(0, count, per_namespace)]
        spaces = [f"{prefix}-{number:03}" for number in range(len(parts))]
        await self.api.each(self.namespace, spaces)
        self.cluster.pause("kube-controller-manager")
        for space, part in zip(spaces, parts, strict=True):
            await self.etcd.put(copies(MODEL, model, space, part))
        await asyncio.to_thread(self.cluster.restart, "kube-controller-manager")
        await rest()  # everybody who watches takes it in
        return [(space, name) for space, part in zip(spaces, parts, strict=True) for name in part]

    async def clear(self, kind: Kind) -> None:
        """Remove all objects of a kind, and all ReplicaSets and pods, at once.

        The next competitor meets a scheduler that remembers nothing: one that had gone through the
        rollouts before needed two to three times as much CPU.
        """
        self.cluster.pause("kube-controller-manager")
        for prefix in (kind.store, REPLICA_SETS, PODS, "/registry/events/"):
            await self.etcd.delete(prefix)
        for program in ("kube-scheduler", "kube-controller-manager"):
            await asyncio.to_thread(self.cluster.restart, program)

    async def _model(self, kind: Kind) -> list[tuple[str, Object]]:
        if kind.name in self._models:
            return self._models[kind.name]
        space = await self.namespace("model")
        body = kind.body(MODEL, 10, label="idle")
        async with self.controller(kind):
            await self.api.request("POST", kind.path(space), body)
            await self.finish(kind, space, [MODEL], 120)
            if kind is OURS:
                await asyncio.sleep(2)  # the completion's mark on the ReplicaSet
            raw = await self.api.request("GET", kind.path(space, MODEL))
            sets = await self.api.items(f"/apis/apps/v1/namespaces/{space}/replicasets")
            pods = await self.api.items(f"/api/v1/namespaces/{space}/pods")
        for one in sets:
            one |= {"apiVersion": "apps/v1", "kind": "ReplicaSet"}
        for one in pods:
            one |= {"apiVersion": "v1", "kind": "Pod"}
        owned = [(PODS, pod) for pod in pods] + [(REPLICA_SETS, one) for one in sets]
        self._models[kind.name] = [(kind.store, raw), *owned]
        await self.clear(kind)
        return self._models[kind.name]


def _argo_sources() -> Path:
    """The folder of the module that Argo Rollouts is built from; its CRDs are there."""
    program = PROGRAMS["rollouts-controller"]
    ensure([program.name])
    go = find_go(minimum_go(program))
    done = subprocess.run(
        [str(go.executable), "list", "-m", "-mod=readonly", "-f", "{{.Dir}}", program.dependency],
        cwd=program.directory,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"},
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(done.stdout.strip())
