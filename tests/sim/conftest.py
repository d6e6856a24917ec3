"""Ends the operator of each simulated world, which says nothing of less than an error."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.sim.world import close_last_world


@pytest.fixture(autouse=True)
def _end_the_operator(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.ERROR, "tripswitch")
    yield
    close_last_world()
