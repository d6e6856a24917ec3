"""Where CPU time goes in many rollouts at once on a cluster: ``make profile-storm``.

The operator by py-spy, from outside, with HTTP, TLS and kopf; the API server by its own profile. Both are taken
from the beginning of each wave of the benchmark *storm*.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.fleet import OURS
from benchmarks.storm import CREATED, GOOD, MIXED, storm
from benchmarks.testbed import Testbed

PY_SPY = Path(sys.executable).with_name("py-spy")
PARTS = re.compile(
    r"\(((tripswitch/\w+/(?:steps|rules)|tripswitch/\w+/\w+|kopf|aiohttp|msgspec|json|ssl|asyncio)\b)"
)
API_SERVER = {
    "custom resources: decode, validate, owners of fields, encode": "apiextensions-apiserver",
    "garbage collection of Go": "gcBgMarkWorker",
    "watches": "cacheWatcher|watchChan|dispatchEvents|serveWatch|WatchServer",
    "audit log of this benchmark": "apiserver/pkg/audit|audit/log|filters.WithAudit.func1",
    "TLS": "crypto/tls",
}
"""Parts of the API server and the functions that are in their stacks; one stack may be in several parts."""


async def run(objects: int, seconds: int) -> None:
    """Run the waves and print a profile of each."""
    with tempfile.TemporaryDirectory(prefix="tripswitch-bench-") as directory:
        async with Testbed(Path(directory), peers=False) as testbed:

            @asynccontextmanager
            async def beside(wave: str, pid: int) -> AsyncIterator[None]:
                async with asyncio.TaskGroup() as group:
                    ours = group.create_task(_profile_operator(pid, seconds, Path(directory)))
                    theirs = group.create_task(_profile_server(testbed, seconds, Path(directory)))
                    yield
                _show(f"{wave}: operator, {seconds} s", ours.result())
                _show(f"{wave}: kube-apiserver, {seconds} s", theirs.result())

            waves = await storm(testbed, OURS, objects, [CREATED, GOOD, MIXED], beside)
            for name, wave in waves.items():
                print(
                    f"{name}: {wave.seconds:.0f} s, {wave.requests / objects:.1f} requests an object"
                )


def _show(title: str, shares: Sequence[tuple[str, float]]) -> None:
    print(f"\n{title}")
    for name, share in shares:
        print(f"  {share:6.1%}  {name}")
    sys.stdout.flush()


async def _profile_operator(pid: int, seconds: int, folder: Path) -> list[tuple[str, float]]:
    """Return the share of each part in the samples of the operator that were not idle."""
    found = folder / "stacks"
    command = [str(PY_SPY), "record", f"--pid={pid}", f"--duration={seconds}", "--nonblocking"]
    await _run([*command, "--format=raw", f"--output={found}", "--rate=200"])
    parts = Counter[str]()
    for line in found.read_text().splitlines():
        stack, _, samples = line.rpartition(" ")
        known = PARTS.findall(stack)
        parts[known[-1][0] if known else "everything else"] += int(samples)
    total = max(1, parts.total())
    return [(name, samples / total) for name, samples in parts.most_common(16)]


async def _profile_server(testbed: Testbed, seconds: int, folder: Path) -> list[tuple[str, float]]:
    """Return the share of each part in the CPU time of the API server."""
    found, kubectl = folder / "profile", testbed.cluster.kubectl_path
    options = [f"--kubeconfig={testbed.cluster.kubeconfig}", "get", "--raw"]
    found.write_bytes(
        await _run([str(kubectl), *options, f"/debug/pprof/profile?seconds={seconds}"])
    )
    shares = []
    for part, functions in API_SERVER.items():
        command = ["go", "tool", "pprof", "-top", f"-focus={functions}", str(found)]
        words = (await _run(command)).decode()
        share = re.search(r"accounting for \S+, ([\d.]+)% of", words)
        shares.append((part, float(share[1]) / 100 if share else 0.0))
    return shares


async def _run(command: Sequence[str]) -> bytes:
    """Run a program and return what it prints.

    Raises:
        RuntimeError: It failed.
    """
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=subprocess.PIPE
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: {errors.decode()}")
    return output


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm_profile", description=__doc__)
    parser.add_argument("--objects", type=int, default=300, help="rollouts at once (300)")
    parser.add_argument("--seconds", type=int, default=25, help="length of each profile (25)")
    options = parser.parse_args()
    if shutil.which("go") is None:
        parser.error("go is not installed; it reads the API server's profile")
    asyncio.run(run(options.objects, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
