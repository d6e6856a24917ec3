"""Rules F: a pod that is as good as it ever was needs no rule, and skipping them changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import START, ready_pod
from tripswitch.domain.rules import failures
from tripswitch.domain.rules.failure_reasons import CANNOT_START
from tripswitch.domain.rules.failures import count_failures
from tripswitch.domain.rules.health import Expectations
from tripswitch.domain.values.memory import Counted, Tally
from tripswitch.domain.values.pods import ContainerRole, ContainerView, Ended, PodPhase, PodView
from tripswitch.domain.values.sight import Sight
from tripswitch.domain.values.states import BestState
from tripswitch.domain.values.workload import Readiness

T = TypeVar("T", ContainerView, PodView, Counted)
NOW = START + 1000.0
MOMENTS = st.floats(START, NOW)
ENDS = st.builds(
    Ended,
    exit_code=st.sampled_from([0, 1, 137]),
    reason=st.sampled_from(["Completed", "Error", "Unknown"]),
    seconds=st.floats(0.0, 900.0),
)
HEALTHY = ready_pod("web-1", START)
SEEN_HEALTHY = Counted(HEALTHY.uid, best_state=BestState.HEALTHY)


def vary(steady: T, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[T]:
    """Return what is like ``steady`` but for at most two fields."""
    names = st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True)
    changes = names.flatmap(lambda names: st.fixed_dictionaries({n: fields[n] for n in names}))
    return changes.map(lambda changed: replace(steady, **changed))


CONTAINERS = vary(
    HEALTHY.containers[0],
    role=st.sampled_from(ContainerRole),
    restarts=st.sampled_from([1, 5]),
    waiting=st.sampled_from(["", "CrashLoopBackOff", *sorted(CANNOT_START)]),
    running_since=st.none() | MOMENTS,
    started=st.booleans(),
    ended=ENDS,
    last_ended=ENDS,
    readiness_budget=st.sampled_from([None, 0.0, 30.0]),
    may_complete=st.booleans(),
)
PODS = vary(
    HEALTHY,
    phase=st.sampled_from(PodPhase),
    reason=st.just("Evicted"),
    deleting=st.booleans(),
    disrupted=st.booleans(),
    ready_since=st.none() | MOMENTS,
    unready_since=MOMENTS,
    unready_by_node=st.booleans(),
    generation=st.integers(0, 3),
    containers=st.tuples(CONTAINERS),
)
MARKS = vary(
    SEEN_HEALTHY,
    containers=st.sampled_from([(Tally("web", runs=1),), (Tally("web", since=START, waits=1),)]),
    failed=st.booleans(),
    unhealthy=st.booleans(),
    best_state=st.sampled_from(BestState),
    existed_before=st.booleans(),
)
EXPECTED = Expectations(Readiness(), sight=Sight())


def look_by_every_rule(pod: PodView, before: Counted) -> failures.Observed:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(failures, "_is_unchanged", lambda *_: False)
        return count_failures(pod, before, EXPECTED, NOW)


@settings(max_examples=1000)
@given(PODS, MARKS)
def test_no_rule_finds_anything_on_a_pod_that_is_skipped(pod: PodView, before: Counted) -> None:
    assert count_failures(pod, before, EXPECTED, NOW) == look_by_every_rule(pod, before)


def test_a_healthy_pod_is_skipped() -> None:
    """Else the property above says nothing."""
    assert count_failures(HEALTHY, SEEN_HEALTHY, EXPECTED, NOW).after is SEEN_HEALTHY
