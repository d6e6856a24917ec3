"""Renders the plain manifests from the Helm chart, their one source.

``manifests/install.yaml`` is the chart with its defaults, for ``kubectl apply``. ``manifests/rbac.yaml``
is the operator's account with its rights, for one that runs outside of the cluster (``make up``, the
tests). The chart's own copies of the CRDs are written here too, because Helm reads nothing outside of a chart.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.cluster.build import ensure
from tripswitch.api.crd import DEFINITIONS

MANIFESTS = Path(__file__).parents[2] / "manifests"
CHART = MANIFESTS / "chart"
NAMESPACE = "tripswitch-system"

_CRDS = CHART / "files" / "crds"

_INSTALL_HEAD = """\
# Generated from manifests/chart with its defaults by `make generate`; do not edit.
# kubectl apply --server-side -f manifests/install.yaml
"""
_RBAC_HEAD = """\
# Generated from manifests/chart by `make generate`; do not edit.
# The account and the rights, for an operator that runs outside of the cluster.
"""
_NAMESPACE = f"""\
---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
EVERY_RIGHT: tuple[str, ...] = ()
"""Values that turn on what the end-to-end suite does and the defaults have no right for."""


def render(arguments: Sequence[str] = ()) -> str:
    """Return what ``helm template`` makes of the chart, without Helm's own comments."""
    command = [str(ensure(["helm"])["helm"]), "template", "tripswitch", str(CHART)]
    command += [f"--namespace={NAMESPACE}", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    plain = re.sub(r"^# Source: .*\n", "", done.stdout, flags=re.MULTILINE)
    return re.sub(r"\n+(?=---\n)", "\n", plain).rstrip() + "\n"


def render_copy() -> Mapping[Path, str]:
    """Return the chart's own copies of the CRDs."""
    return {_CRDS / f"{one.plural}.yaml": one.path.read_text() for one in DEFINITIONS}


def render_files() -> Mapping[Path, str]:
    """Return every file that is made from the chart. The chart must have its CRDs already."""
    shown = [f"--show-only=templates/{name}.yaml" for name in ("serviceaccount", "rbac")]
    return {
        MANIFESTS / "install.yaml": _INSTALL_HEAD + _NAMESPACE + render(),
        MANIFESTS / "rbac.yaml": _RBAC_HEAD + _NAMESPACE + render([*shown, *EVERY_RIGHT]),
    }
