"""Start and stop clusters by hand: ``python -m tools.cluster up|down|status|build``."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tools.cluster import ownership
from tools.cluster.box import BoxError, find_obstacle
from tools.cluster.build import ensure
from tools.cluster.components import NODE_PROVIDERS, required_programs
from tools.cluster.control_plane import ClusterError, ControlPlane
from tools.cluster.images import IMAGES, write_archive
from tools.cluster.layout import CLUSTERS, REPOSITORY
from tools.cluster.programs import BENCHMARK_PEERS, PROGRAMS
from tools.cluster.real_node import load_into
from tools.cluster.toolchain import BuildError

_READY = "ready"
_NODES = {"kwok": 2, "real": 0}
_PURPOSES = {
    "kwok": lambda: required_programs("kwok"),
    "real": lambda: required_programs("real"),
    "demo": lambda: required_programs("kwok" if find_obstacle() else "real"),
    "tests": lambda: [name for name in PROGRAMS if name not in BENCHMARK_PEERS],
}
"""Kind of node, or who asks -> the programs that it needs."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, help_text in (
        ("up", "start a cluster that stays until 'down'"),
        ("down", "stop it; nothing of it is left but the logs"),
        ("own", argparse.SUPPRESS),
    ):
        command = commands.add_parser(name, help=help_text)
        command.add_argument("--name", default="default", help="several may run side by side")
        if name != "down":
            command.add_argument("--node", choices=sorted(NODE_PROVIDERS), default="kwok")
            command.add_argument(
                "--nodes", type=int, help="how many simulated nodes (2; beside a real one: none)"
            )
    load = commands.add_parser("load", help="bring images onto the real node of a cluster")
    load.add_argument("--name", default="default")
    load.add_argument("archives", nargs="+", metavar="TAR", help="made by `docker save`, or alike")
    images = commands.add_parser("images", help="write the test images as files for `docker load`")
    images.add_argument("folder", type=Path)
    commands.add_parser("obstacle", help="why there can be no real node here; fails if there can")
    commands.add_parser("status", help="list the clusters and their processes")
    build = commands.add_parser("build", help="build programs into the cache")
    build.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(PROGRAMS))
    build.add_argument("--for", dest="purpose", choices=sorted(_PURPOSES), help="what it needs")
    options = parser.parse_args(arguments)
    try:
        if options.command in ("up", "own"):
            simulated = options.nodes if options.nodes is not None else _NODES[options.node]
            start = up if options.command == "up" else own
            return start(options.name, options.node, simulated)
        if options.command == "down":
            return down(options.name)
        if options.command == "images":
            return write_images(options.folder)
        if options.command == "obstacle":
            obstacle = find_obstacle()
            print(obstacle or "a real node can run here")
            return 0 if obstacle else 1
        if options.command == "load":
            return load_images(options.name, options.archives)
        if options.command == "build":
            wanted = _PURPOSES[options.purpose]() if options.purpose else list(PROGRAMS)
            for path in ensure(options.programs or wanted).values():
                print(path)
            return 0
        return status()
    except (BoxError, BuildError, ClusterError, ownership.AlreadyRunningError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def up(name: str, node: str, nodes: int) -> int:
    """Start a cluster in the background and say how to use it."""
    directory = CLUSTERS / name
    if ownership.is_owned(directory):
        print(f"cluster {name!r} already runs")
        return _explain(directory)
    if node == "real" and (obstacle := find_obstacle()):
        raise ClusterError(obstacle)
    ensure(required_programs(node))
    command = [sys.executable, "-m", "tools.cluster", "own", "--name", name, "--node", node]
    directory.mkdir(parents=True, exist_ok=True)
    owner = subprocess.Popen(
        [*command, "--nodes", str(nodes)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    for line in owner.stdout:
        if line.strip() == _READY:
            # Only now may the owner outlive this process; see own().
            owner.stdin.write("stay\n")
            owner.stdin.close()
            return _explain(directory)
        print(line, end="", flush=True)
    return owner.wait()


def own(name: str, node: str, nodes: int) -> int:
    """Run a cluster in this process until it is told to end (the background half of ``up``)."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    cluster = ControlPlane(CLUSTERS / name, node=node, report=lambda line: print(line, flush=True))
    try:
        with cluster:
            if nodes:
                cluster.add_nodes(nodes)
            for image in IMAGES.values() if cluster.real_nodes else ():
                cluster.load_image(write_archive(image, cluster.directory / "image.tar"))
            (cluster.directory / "kubectl").symlink_to(cluster.kubectl_path)
            print(_READY, flush=True)
            if sys.stdin.readline() != "stay\n":
                return 1  # the starter died before it could take note of this cluster
            _detach(cluster.logs / "owner.log")
            stop.wait()
    except (BoxError, BuildError, ClusterError, ownership.AlreadyRunningError) as error:
        print(error, flush=True)
        return 1
    return 0


def down(name: str) -> int:
    """Stop a cluster in any state."""
    directory = CLUSTERS / name
    stopped = ownership.stop_owner(directory)
    print(f"cluster {name!r} {'stopped' if stopped else 'was not running'}")
    return 0


def load_images(name: str, archives: list[str]) -> int:
    """Import docker-archives into the real nodes of a running cluster."""
    for archive in map(Path, archives):
        for node in load_into(CLUSTERS / name, archive):
            print(f"{archive.name} is on {node}")
    return 0


def write_images(folder: Path) -> int:
    """Make every image of the end-to-end tests, for clusters that are not ours (E2E=current)."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in IMAGES.values():
        print(write_archive(image, folder / f"{image.name}.tar"), image.reference)
    return 0


def status() -> int:
    """List every cluster of this checkout."""
    for directory in sorted(CLUSTERS.glob("*/")):
        state = ownership.read_state(directory)
        running = "running" if ownership.is_owned(directory) else "stopped"
        print(f"{directory.name}: {running}, {state.get('server', 'never started')}")
        for program, entry in state.get("programs", {}).items():
            there = "there" if ownership.alive(entry) else "gone"
            print(f"  {program}: process {entry['pid']}, {there}")
    return 0


def _explain(directory: Path) -> int:
    state = ownership.read_state(directory)
    print(f"cluster {directory.name!r} is ready at {state.get('server', '?')}")
    print(f"  export KUBECONFIG={state.get('kubeconfig', '?')}")
    print(f"  kubectl of the same version: {directory / 'kubectl'}")
    print(f"  logs: {directory / 'logs'}")
    if any(program.startswith("box ") for program in state.get("programs", {})):
        print("  images on its node, for manifests that run real containers:")
        print(f"    {' '.join(image.reference for image in IMAGES.values())}")
        print("    others: python -m tools.cluster load TAR... (docker save makes such files)")
    return 0


def _detach(log: Path) -> None:
    """Let go of the starter's pipes and terminal."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


if __name__ == "__main__":
    sys.exit(main())
