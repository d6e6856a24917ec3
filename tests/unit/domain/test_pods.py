"""Which pods their ReplicaSet counts."""

from __future__ import annotations

import pytest

from tests.support.builders import ready_pod, terminating
from tripswitch.domain.values.pods import PodPhase


@pytest.mark.parametrize(
    ("phase", "live"),
    [
        pytest.param(PodPhase.PENDING, True, id="Pending"),
        pytest.param(PodPhase.RUNNING, True, id="Running"),
        pytest.param(PodPhase.UNKNOWN, True, id="Unknown"),
        pytest.param(PodPhase.SUCCEEDED, False, id="Succeeded"),
        pytest.param(PodPhase.FAILED, False, id="Failed"),
    ],
)
def test_a_pod_lives_until_it_ends_or_is_deleted(*, phase: PodPhase, live: bool) -> None:
    found = ready_pod(phase=phase)
    assert found.live is live
    assert not terminating(found).live
