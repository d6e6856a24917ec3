"""The programs a test cluster is made of, and the Go modules that pin them.

Each module folder below ``gomod/`` holds a ``go.mod`` and ``go.sum`` of its own, because the
programs need different versions of the same libraries. To add a program: add its folder (a
``go.mod`` with ``require`` and ``tool`` lines, then ``go mod tidy``) and a line to ``PROGRAMS``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "gomod"

# The servers refuse an empty version, and `go build` from a module leaves it empty.
_KUBERNETES_STAMP: Mapping[str, str] = {
    "k8s.io/component-base/version.gitVersion": "{version}",
    "k8s.io/component-base/version.gitMajor": "{major}",
    "k8s.io/component-base/version.gitMinor": "{minor}",
}


@dataclass(frozen=True)
class Program:
    """One program: the module folder that pins it, where its main package is, what is stamped in.

    ``stamp`` maps a Go variable to a value in which ``{version}``, ``{major}`` and ``{minor}``
    stand for the pinned version of ``dependency``.
    """

    name: str
    folder: str
    dependency: str
    command: str = ""
    stamp: Mapping[str, str] | None = None

    @property
    def directory(self) -> Path:
        """The folder with this program's ``go.mod``."""
        return MODULES / self.folder

    @property
    def package(self) -> str:
        """The import path of the main package."""
        return f"{self.dependency}/{self.command}" if self.command else self.dependency

    @property
    def version(self) -> str:
        """The pinned version, such as ``v1.36.3``, read from ``go.mod``."""
        text = (self.directory / "go.mod").read_text()
        found = re.search(
            rf"^\s*(?:require )?{re.escape(self.dependency)} (v\S+)", text, re.MULTILINE
        )
        if found is None:
            raise LookupError(f"{self.directory}/go.mod does not require {self.dependency}")
        return found.group(1)

    @property
    def ldflags(self) -> str:
        """Linker flags: no symbol tables, and the version stamped in."""
        major, minor = self.version.removeprefix("v").split(".")[:2]
        words = {"version": self.version, "major": major, "minor": minor}
        stamp = self.stamp or {}
        return " ".join(
            ["-s", "-w", *(f"-X {name}={value.format(**words)}" for name, value in stamp.items())]
        )

    def key(self, go_version: str) -> str:
        """Name of the cache entry: changes with anything that can change the binary."""
        digest = hashlib.sha256()
        for part in (self.package, self.ldflags, go_version):
            digest.update(part.encode() + b"\0")
        for name in ("go.mod", "go.sum"):
            digest.update((self.directory / name).read_bytes() + b"\0")
        return digest.hexdigest()[:20]


def _kubernetes(name: str) -> Program:
    return Program(name, "kubernetes", "k8s.io/kubernetes", f"cmd/{name}", _KUBERNETES_STAMP)


PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl"),
        _kubernetes("kubelet"),
        _kubernetes("kube-proxy"),
        Program("kind", "kind", "sigs.k8s.io/kind"),
        Program(
            "kwok",
            "kwok",
            "sigs.k8s.io/kwok",
            "cmd/kwok",
            {"sigs.k8s.io/kwok/pkg/consts.Version": "{version}"},
        ),
        # The Lua that is built into Argo CD.
        Program("glua", "glua", "github.com/yuin/gopher-lua", "cmd/glua"),
        Program(
            "helm",
            "helm",
            "helm.sh/helm/v4",
            "cmd/helm",
            {"helm.sh/helm/v4/internal/version.version": "{version}"},
        ),
        Program(
            "helm3",
            "helm3",
            "helm.sh/helm/v3",
            "cmd/helm",
            {
                "helm.sh/helm/v3/internal/version.version": "{version}",
                # What `helm template` takes for the cluster's version; the default is 1.20.
                "helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor": "36",
            },
        ),
        # No part of a cluster: it checks the workflow files of the forge.
        Program("actionlint", "actionlint", "github.com/rhysd/actionlint", "cmd/actionlint"),
        # No part of a cluster: the peer that the benchmarks run beside us.
        Program(
            "rollouts-controller",
            "argo-rollouts",
            "github.com/argoproj/argo-rollouts",
            "cmd/rollouts-controller",
        ),
    )
}

BENCHMARK_PEERS = ("rollouts-controller",)
"""What only benchmarks run."""


def minimum_go(program: Program) -> str:
    """The ``go`` line of the program's ``go.mod``, such as ``1.26.0``."""
    found = re.search(r"^go (\S+)$", (program.directory / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise LookupError(f"{program.directory}/go.mod has no go line")
    return found.group(1)
