"""One cluster with one operator for all end-to-end tests of a run, however many workers run them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.environment import Environment, start_environment, stop_environment
from tests.support.rights import judge, read_granted
from tests.support.times import render_times

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

ROOT = Path(__file__).parents[1]

_started: dict[str, Environment] = {}
_problems: list[str] = []


def _start() -> Environment:
    """Start the shared cluster once, in the process that outlives all workers."""
    if "environment" not in _started:
        directory = Path(tempfile.mkdtemp(prefix="tripswitch-e2e-"))
        _started["environment"] = start_environment(os.environ.get("E2E", "kwok"), directory)
    return _started["environment"]


def pytest_configure() -> None:
    """Say that there is no event loop outside of tests.

    pytest-asyncio asks for the current one, and Python 3.11 to 3.13 make one that nobody closes.
    """
    asyncio.set_event_loop(None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the cluster is, if any test can need one."""
    if "not cluster" in str(node.config.option.markexpr):
        return
    node.workerinput["environment"] = _start().as_dict()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hold the operator's rights against what it asked for, when every worker has ended.

    A refused request is a failure always, a right that nobody used only after the whole suite
    (``make e2e`` says so).
    """
    environment = _started.get("environment")
    if hasattr(session.config, "workerinput") or environment is None or not environment.audit_log:
        return
    granted = read_granted((ROOT / "manifests" / "rbac.yaml").read_text())
    whole = bool(os.environ.get("WHOLE_SUITE"))
    _problems.extend(judge(Path(environment.audit_log), granted, whole=whole))
    if _problems and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


# Tests of these share a cluster of their own, or what a node has one of, so one worker runs them.
_TOGETHER = (
    "tests/cluster/",
    "tests/faults/",
    "tests/e2e/test_real_disruptions.py",
    "tests/e2e/test_demo.py",
    "tests/e2e/test_helm.py",
    "tests/e2e/test_real_guarded_in_cluster.py",
    "tests/e2e/test_real_in_cluster.py",
    "tests/e2e/test_real_registry_names.py",
)


# These take minutes, nearly all of it waiting: begun last, they would be waited for alone.
_FIRST = (
    "[ready-then-lost-",
    "[never-ready-",
    "[missing-tag-",
    "tests/e2e/test_alarms.py",
    "tests/e2e/test_hooks.py",
    "tests/e2e/test_real_no_harm.py",
    "::test_f4_a_server_that_is_up_after_45_s",
    "::test_f9_a_registry_that_denies_everybody",
    "::test_k1_a3_a_hook_and_a_bake_go_on",
    "::test_three_public_manifests_unchanged",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first; the order of all others stays."""
    items.sort(key=lambda item: not any(part in item.nodeid for part in _FIRST))


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
    """Show what is wrong with the operator's rights, and what was measured on real containers."""
    if _problems:
        terminalreporter.section("rights of the operator", red=True)
        terminalreporter.write_line("\n".join(_problems))
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
