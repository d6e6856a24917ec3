"""A selection of the faults, quick enough to run before every change; `make faults` runs them all."""

from __future__ import annotations

import pytest

from tests.faults.__main__ import load
from tests.faults.catalog import Scenario
from tests.faults.lab import Lab

pytestmark = pytest.mark.cluster

SELECTED = [one for one in load() if one.ci]


@pytest.mark.parametrize("scenario", SELECTED, ids=lambda one: one.name)
def test_nothing_is_lost(lab: Lab, scenario: Scenario) -> None:
    for number in range(scenario.ci):
        assert scenario.attempt(lab, number)
