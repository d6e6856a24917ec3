"""A machine within the machine, for one real node: own processes, mounts and network interfaces.

A kubelet and a container runtime write all over the machine they run on. Here they run in
namespaces of their own (those of a container, but with root's full rights): ``box_init.py`` is
process 1 in there, on a leash held by the starter. When it ends, however that comes about, the
kernel kills every process of the box and takes back its mounts, interfaces and firewall rules; only
empty cgroups stay, which the next start or stop of any box sweeps away.

Two addresses lead in: the machine has ``host_address``, the box has ``address``, and pods get
theirs from ``pod_network``. The number in them is claimed with the name of the network interface,
which the kernel gives to one only, so any number of boxes can be there at the same time.
"""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.cluster.processes import fork, leashed

_INIT = Path(__file__).with_name("box_init.py")
_NAMESPACES = ("--net", "--mount", "--pid", "--ipc", "--uts")
_PREFIX = "tripswitch-"
_NUMBERS = range(64)
_CGROUPS = Path("/sys/fs/cgroup")

# Program -> the Debian package that brings it.
NEEDED = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "nft": "nftables",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "docker-registry": "docker-registry",
    "skopeo": "skopeo",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "/bin/busybox": "busybox-static",
    "mmdebstrap": "mmdebstrap",
}


class BoxError(Exception):
    """A box could not be made; the message says why."""


def find_obstacle() -> str | None:
    """Why there can be no real node on this machine; None when there can."""
    if sys.platform != "linux":
        return f"a real node needs Linux, and this is {platform.system()}"
    if os.geteuid() != 0:
        return "a real node needs root: containers, mounts and network interfaces are made"
    missing = sorted({package for name, package in NEEDED.items() if not shutil.which(name)})
    if missing:
        return f"programs are missing; on Debian: apt-get install {' '.join(missing)}"
    probe = subprocess.run(
        ["unshare", *_NAMESPACES, "--fork", "mount", "-t", "tmpfs", "probe", "/run"],
        capture_output=True,
        text=True,
        check=False,
    )
    if probe.returncode != 0:
        return f"this machine does not let root make namespaces: {probe.stderr.strip()}"
    return None


class Box:
    """A running box. Raises BoxError when it cannot be made."""

    def __init__(self) -> None:
        obstacle = find_obstacle()
        if obstacle:
            raise BoxError(obstacle)
        sweep()
        words = ["unshare", *_NAMESPACES, "--fork", "--kill-child", "--mount-proc"]
        command = [shutil.which(words[0]) or words[0], *words[1:]]
        self._outer = fork(
            leashed([*command, sys.executable, "-I", "-S", str(_INIT)]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            self._await_ready()
            self.pid = _only_child(self._outer.pid)
            self.number = self._connect()
        except BaseException:
            self._outer.kill()
            self._outer.wait()
            raise

    @property
    def interface(self) -> str:
        """The network interface on the machine's side."""
        return f"{_PREFIX}{self.number}"

    @property
    def cgroup(self) -> str:
        """The parent of its containers' cgroups."""
        return f"/{_PREFIX}{self.number}"

    @property
    def host_address(self) -> str:
        """Where the box, and pods in it, find the machine."""
        return _addresses(self.number)[0]

    @property
    def address(self) -> str:
        """Where the machine, and pods, find the box."""
        return _addresses(self.number)[1]

    @property
    def pod_network(self) -> str:
        """The addresses of its pods, which the machine reaches through the box."""
        return _addresses(self.number)[2]

    def command(self, *words: str) -> list[str]:
        """The command line that runs a program in the box; it ends with the one that runs it."""
        return enter(self.pid, *words)

    def run(self, *words: str, stdin: bytes | None = None) -> str:
        """Run a program in the box to its end; BoxError with what it said when it fails."""
        return run(self.command(*words), stdin)

    def exit_code(self) -> int | None:
        """None while the box runs."""
        return self._outer.poll()

    def remove(self) -> None:
        """End everything in the box and take back what it had."""
        self._outer.kill()
        self._outer.wait()
        for pipe in (self._outer.stdout, self._outer.stderr):
            if pipe is not None:
                pipe.close()
        # The kernel does this by itself, but later.
        subprocess.run(["ip", "link", "delete", self.interface], check=False, capture_output=True)
        sweep()

    def _await_ready(self) -> None:
        assert self._outer.stdout is not None
        assert self._outer.stderr is not None
        if self._outer.stdout.readline().strip() != b"ready":
            self._outer.kill()
            raise BoxError(f"the box did not start: {self._outer.stderr.read().decode().strip()}")

    def _connect(self) -> int:
        """Claim a number, and connect box and machine with a pair of interfaces."""
        taken = _networks_in_use()
        # Not from the lowest: one that was in use a moment ago may still be being taken apart.
        for number in random.sample(_NUMBERS, len(_NUMBERS)):
            host, inside, pods = _addresses(number)
            ours = [ipaddress.ip_network(f"{host}/30", strict=False), ipaddress.ip_network(pods)]
            if any(mine.overlaps(other) for mine in ours for other in taken):
                continue
            name = f"{_PREFIX}{number}"
            pair = ["ip", "link", "add", name, "type", "veth"]
            ends = ["peer", "name", "eth0", "netns", str(self.pid)]
            if subprocess.run([*pair, *ends], check=False, capture_output=True).returncode != 0:
                continue  # somebody else was faster
            run(["ip", "address", "add", f"{host}/30", "dev", name])
            run(["ip", "link", "set", name, "up"])
            self.run("ip", "link", "set", "lo", "up")
            self.run("ip", "address", "add", f"{inside}/30", "dev", "eth0")
            self.run("ip", "link", "set", "eth0", "up")
            self.run("ip", "route", "add", "default", "via", host)
            run(["ip", "route", "add", pods, "via", inside])
            return number
        raise BoxError(f"all {len(_NUMBERS)} networks for real nodes are in use on this machine")


def enter(pid: int, *words: str) -> list[str]:
    """The command line that runs a program in the box whose process 1 is ``pid``."""
    tool = shutil.which("nsenter") or "nsenter"
    return [
        *(tool, f"--target={pid}", *_NAMESPACES),
        *("setpriv", "--pdeathsig=KILL", *words),
    ]


def run(command: Sequence[str], stdin: bytes | None = None) -> str:
    """Run a command; BoxError with what it said when it fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise BoxError(f"{' '.join(command)}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def sweep() -> None:
    """Remove the cgroups of boxes that are gone."""
    for top in sorted({*_CGROUPS.glob(f"{_PREFIX}*"), *_CGROUPS.glob(f"*/{_PREFIX}*")}):
        if not Path("/sys/class/net", top.name).exists():
            _remove_cgroup(top)


def _remove_cgroup(top: Path) -> None:
    """Remove a tree of cgroups; its last processes may still be on their way out."""
    deadline = time.monotonic() + 5
    while top.exists():
        try:
            for folder, _, _ in os.walk(top, topdown=False):
                os.rmdir(folder)  # noqa: PTH106 - folders of cgroups are not empty, and yet go
        except FileNotFoundError:
            continue  # another sweep
        except OSError:
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)


def _addresses(number: int) -> tuple[str, str, str]:
    """The machine's and the node's address, and the network of the node's pods.

    >>> _addresses(7)
    ('10.210.7.1', '10.210.7.2', '10.211.7.0/24')
    """
    return f"10.210.{number}.1", f"10.210.{number}.2", f"10.211.{number}.0/24"


def _networks_in_use() -> list[ipaddress.IPv4Network]:
    routes = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]))
    found = (route["dst"] for route in routes if route["dst"] != "default")
    return [ipaddress.IPv4Network(destination) for destination in found]


def _only_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
