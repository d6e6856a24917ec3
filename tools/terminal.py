"""The plugin as a user has it: ``kubectl tripswitch`` found on the PATH, in a shell or a terminal."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Self

PATIENCE = 90.0
"""Seconds until a screen must show what is waited for."""


class Plugin:
    """A PATH on which kubectl and the plugin are, and a kubeconfig of one namespace.

    Args:
        kubectl: The program.
        kubeconfig: A file that is copied into ``directory``.
        namespace: Where commands act that name none.
        directory: An empty folder.
        program: The plugin; the installed one by default.
    """

    def __init__(
        self,
        kubectl: Path,
        kubeconfig: Path,
        namespace: str,
        directory: Path,
        program: Path | None = None,
    ) -> None:
        bin_directory = directory / "bin"
        bin_directory.mkdir(parents=True)
        (bin_directory / "kubectl").symlink_to(kubectl)
        for name in ("kubectl-tripswitch", "kubectl_complete-tripswitch"):
            installed = Path(sys.executable).parent / name
            (bin_directory / name).symlink_to(program or installed)
        own = directory / "kubeconfig"
        shutil.copy(kubeconfig, own)
        self.variables = {
            **os.environ,
            "PATH": f"{bin_directory}:{os.environ['PATH']}",
            "KUBECONFIG": str(own),
        }
        self.variables.pop("NO_COLOR", None)
        self("config", "set-context", "--current", f"--namespace={namespace}")

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl with these words."""
        return subprocess.run(
            ["kubectl", *words],
            env=self.variables,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        """The same, and it must succeed."""
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {shlex.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout


class Terminal:
    """A terminal of so many columns and lines (tmux), in which a person types."""

    def __init__(self, plugin: Plugin, columns: int = 120, lines: int = 40) -> None:
        self._socket = f"tripswitch-{uuid.uuid4().hex[:12]}"
        self._plugin = plugin
        self._size = ("-x", str(columns), "-y", str(lines))

    def __enter__(self) -> Self:
        shell = "env PS1='$ ' sh"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-s", "t", *self._size, shell)
        self.until(lambda screen: "$" in screen)
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def type(self, line: str) -> None:
        """Type a line and the return key."""
        self._tmux("send-keys", "-t", "t", "-l", line)
        self._tmux("send-keys", "-t", "t", "Enter")

    def screen(self, *, colours: bool = False) -> str:
        """Return what can be seen now."""
        return self._tmux("capture-pane", "-t", "t", "-p", *(["-e"] if colours else []))

    def until(self, reached: Callable[[str], object], seconds: float = PATIENCE) -> list[str]:
        """Look until the screen is as wanted; return every different picture on the way."""
        deadline, seen = time.monotonic() + seconds, [self.screen()]
        while not reached(seen[-1]):
            if time.monotonic() > deadline:
                raise AssertionError(f"the screen never showed it:\n{seen[-1]}")
            time.sleep(0.05)
            if (now := self.screen()) != seen[-1]:
                seen.append(now)
        return seen

    def _tmux(self, *words: str) -> str:
        variables = {**self._plugin.variables, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        variables.pop("TMUX", None)
        return subprocess.run(
            ["tmux", "-u", "-L", self._socket, *words],
            env=variables,
            check=True,
            capture_output=True,
            text=True,
            timeout=30,
        ).stdout


def ages_left_out(screen: str) -> str:
    """Return a picture without what changes by time alone."""
    return re.sub(r"\b\d+(\.\d)?[smhd](\d+[smhd])?\b", "?", screen)
