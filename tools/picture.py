"""``make picture``: the plugin's pictures in the docs, taken from a real terminal on a real rollout."""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from rich.console import Console
from rich.text import Text

from tools.cluster.control_plane import ControlPlane
from tools.operator_process import OperatorProcess, install, write_kubeconfig
from tools.terminal import Plugin, Terminal

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLUMNS, LINES = 112, 34


def take(directory: Path) -> None:
    """Start a throwaway cluster with the operator, and take the pictures there."""
    with ControlPlane(directory / "cluster") as cluster:
        cluster.add_nodes(2)
        install(cluster.kubectl)
        rights = write_kubeconfig(cluster.kubectl, directory / "operator.kubeconfig")
        with OperatorProcess(rights, directory / "operator.log"):
            shoot(Plugin(cluster.kubectl_path, cluster.kubeconfig, "default", directory / "plugin"))


def shoot(plugin: Plugin) -> None:
    """Play a rollout that fails, and take two pictures of it."""
    apply(plugin, "shop/web:1.4")
    completed = "--for=jsonpath={.status.rollout.status}=SUCCESSFUL"
    plugin("wait", "guardeddeployment/web", completed, "--timeout=90s")
    with Terminal(plugin, COLUMNS, LINES) as terminal:
        terminal.type("clear")
        apply(plugin, "shop/web:1.5", {"stage.tripswitch.dev/behaviour": "crash"})
        terminal.type("kubectl tripswitch status web --watch")
        terminal.until(lambda screen: screen.count("CrashLoopBackOff  container") >= 4)
        save(terminal.screen(colours=True), "failing")
        terminal.until(lambda screen: "rollout ROLLBACK_SUCCESSFUL" in screen)
        terminal.until(lambda screen: screen.rstrip().endswith("$"))
        save(terminal.screen(colours=True), "rolled-back")


def apply(
    plugin: Plugin, image: str, annotations: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Apply a GuardedDeployment whose breaker trips at ten failures."""
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
    threshold = {"type": "COUNT", "value": 10}
    manifest = {
        "apiVersion": "tripswitch.dev/v1alpha1",
        "kind": "GuardedDeployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 4,
            "minReadySeconds": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "deploymentConfiguration": {
                "deploymentCircuitBreaker": {"thresholdConfiguration": threshold}
            },
            "template": {
                "metadata": {"labels": {"app": "web"}, "annotations": dict(annotations)},
                "spec": {"containers": [{"name": "web", "image": image, "readinessProbe": probe}]},
            },
        },
    }
    plugin("apply", "--filename", "-", stdin=json.dumps(manifest))


def save(screen: str, name: str) -> None:
    """Write a picture of a screen; nothing in it is loaded from elsewhere."""
    lines = screen.rstrip().splitlines()
    while lines and re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip() in ("", "$"):
        lines.pop()
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title="kubectl tripswitch", unique_id=name)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    IMAGES.mkdir(parents=True, exist_ok=True)
    (IMAGES / f"{name}.svg").write_text(
        "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
    )
    print(f"wrote docs/images/{name}.svg")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="tripswitch-picture-") as scratch:
        take(Path(scratch))
    sys.exit(0)
