"""``make picture``: the plugin's pictures in the docs, taken from a real terminal on a real rollout."""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.e2e.plugin import Plugin, Terminal
from tests.e2e.world import World, breaker, guarded
from tests.support.environment import Environment
from tools.cluster.control_plane import ControlPlane
from tools.operator_process import OperatorProcess, install, write_kubeconfig

IMAGES = Path(__file__).parents[1] / "docs" / "images"
COLUMNS, LINES = 112, 34


def take(directory: Path) -> None:
    """Start a throwaway cluster with the operator, and take the pictures there."""
    with ControlPlane(directory / "cluster") as cluster:
        cluster.add_nodes(2)
        install(cluster.kubectl)
        rights = write_kubeconfig(cluster.kubectl, directory / "operator.kubeconfig")
        environment = Environment(
            provider="kwok",
            kubeconfig=str(cluster.kubeconfig),
            kubectl_path=str(cluster.kubectl_path),
            directory=str(directory),
        )
        with OperatorProcess(rights, directory / "operator.log"):
            world = World(environment, "default")
            shoot(world, Plugin(world, directory / "plugin"))


def shoot(world: World, plugin: Plugin) -> None:
    """Play a rollout that fails, and take two pictures of it."""
    patient = breaker(thresholdConfiguration={"type": "COUNT", "value": 10})
    world.completed(guarded(image="shop/web:1.4", configuration=patient))
    with Terminal(plugin, COLUMNS, LINES) as terminal:
        terminal.type("clear")
        bad = guarded(image="shop/web:1.5", configuration=patient, behaviour="crash")
        world.apply(bad)
        terminal.type("kubectl tripswitch status web --watch")
        terminal.until(lambda screen: screen.count("CrashLoopBackOff") >= 4)
        save(terminal.screen(colours=True), "failing")
        terminal.until(lambda screen: "rollout ROLLBACK_SUCCESSFUL" in screen)
        terminal.until(lambda screen: screen.rstrip().endswith("$"))
        save(terminal.screen(colours=True), "rolled-back")


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
