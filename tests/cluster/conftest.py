"""For the tests of the cluster itself: one for the whole session, a namespace for each test."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator

import pytest

from tools.cluster import ownership
from tools.cluster.control_plane import ClusterError, ControlPlane
from tools.cluster.layout import CLUSTERS

_PREFIX = "pytest-"


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[ControlPlane]:
    """A running cluster with two simulated nodes. Its logs are kept when a test failed."""
    _remove_dead_clusters()
    directory = CLUSTERS / f"{_PREFIX}{os.getpid()}"
    with ControlPlane(directory) as control_plane:
        control_plane.add_nodes(2)
        yield control_plane
    if request.session.testsfailed:
        print(f"\nlogs of the test cluster, kept until the next run: {directory / 'logs'}")
    else:
        shutil.rmtree(directory)


@pytest.fixture
def namespace(cluster: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh namespace, named after the test, in which pods can be made. It goes afterwards."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40].strip("-")
    name = f"{words}-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", name)
    # The API server refuses pods until a controller has made their default service account.
    _await_service_account(cluster, name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def _await_service_account(cluster: ControlPlane, namespace: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            cluster.kubectl("get", "serviceaccount", "default", f"--namespace={namespace}")
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _remove_dead_clusters() -> None:
    """Folders of earlier runs whose process is gone."""
    for directory in CLUSTERS.glob(f"{_PREFIX}*"):
        if not ownership.is_owned(directory):
            ownership.kill_leftovers(directory)
            shutil.rmtree(directory, ignore_errors=True)
