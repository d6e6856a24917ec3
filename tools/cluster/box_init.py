"""Process 1 of a box (see box.py): prepares its own mounts, says ``ready``, and reaps.

It runs as a script of its own inside fresh namespaces. When it ends, the kernel ends every other
process in there, and takes back the mounts and network interfaces.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

# Programs in the box leave their state where they always do; it vanishes with the box.
PRIVATE_FOLDERS = ("/run", "/var/lib", "/var/log")

# A kubelet sets these for the whole machine unless they have its values already. In the box they
# look as if they had; the machine keeps its own. (pkg/util/sysctl of Kubernetes.)
KERNEL_TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}


def main() -> None:
    """Prepare, tell the starter, then wait for children until killed."""
    for folder in PRIVATE_FOLDERS:
        _mount("-t", "tmpfs", "-o", "mode=755", "tripswitch", folder)
    for name, value in KERNEL_TUNABLES.items():
        copy = f"/run/{name.replace('/', '.')}"
        with open(copy, "w", encoding="ascii") as file:  # noqa: PTH123 - starts faster
            file.write(value + "\n")
        if os.path.exists(f"/proc/sys/{name}"):  # noqa: PTH110
            _mount("--bind", copy, f"/proc/sys/{name}")
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as switch:  # noqa: PTH123
        switch.write("1\n")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    if os.fork() == 0:
        while True:  # so that there is always a child to wait for
            signal.pause()
    while True:
        os.wait()


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


if __name__ == "__main__":
    main()
