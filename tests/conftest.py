"""One cluster with one operator for all end-to-end tests of a run, however many workers run them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.environment import Environment, start_environment, stop_environment
from tests.times import render_times

# Few and always the same examples for every day; `make soak` has its own, many more.
settings.register_profile(
    "daily",
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("daily")

_started: dict[str, Environment] = {}


def _start() -> Environment:
    """Start the shared cluster once, in the process that outlives all workers."""
    if "environment" not in _started:
        directory = Path(tempfile.mkdtemp(prefix="tripswitch-e2e-"))
        _started["environment"] = start_environment(os.environ.get("E2E", "kwok"), directory)
    return _started["environment"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the cluster is, if any test can need one."""
    if "not cluster" in str(node.config.option.markexpr):
        return
    node.workerinput["environment"] = _start().as_dict()


# Tests of these share a cluster of their own, so one worker runs them.
_TOGETHER = ("tests/cluster/", "tests/faults/", "tests/e2e/test_real_disruptions.py")


class _ByCluster(LoadScopeScheduling):  # type: ignore[misc]
    """Each test on whichever worker is free, but those of ``_TOGETHER`` file by file.

    The mark ``xdist_group`` of pytest-xdist 3.8 has no effect with pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return path if path.startswith(_TOGETHER) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Say who runs what."""
    return _ByCluster(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Show what the tests on real containers measured."""
    environment = _started.get("environment")
    if environment is not None and environment.times.exists():
        terminalreporter.section("seconds on real containers")
        terminalreporter.write(render_times(environment.times.read_text().splitlines()))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop it after the last test."""
    if not hasattr(config, "workerinput") and _started:
        stop_environment(_started.pop("environment"))


@pytest.fixture(scope="session")
def environment(request: pytest.FixtureRequest) -> Environment:
    """The cluster, and the operator that runs in it."""
    given = getattr(request.config, "workerinput", {}).get("environment")
    return Environment.from_dict(given) if given else _start()
