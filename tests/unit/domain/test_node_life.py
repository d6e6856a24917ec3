"""Rule V3: what looks at a node's Lease prove."""

from __future__ import annotations

import math

import pytest

from tripswitch.domain.rules.node_life import follow_lease, trust_condition
from tripswitch.domain.values.node_life import Life, Renewal

Look = tuple[float, float]
"""When a look began by the operator's clock, and ``renewTime`` by the node's."""


def follow(*looks: Look, interval: float = 10.0) -> Life:
    life = None
    for look_at, renewed in looks:
        life = follow_lease(life, Renewal(renewed, interval), look_at)
    assert life is not None
    return life


NEVER = -math.inf


@pytest.mark.parametrize(
    ("looks", "alive_at"),
    [
        pytest.param([(100, 5)], NEVER, id="one look proves nothing"),
        pytest.param([(100, 5), (110, 5)], NEVER, id="it was not renewed"),
        pytest.param([(100, 5), (110, 15)], 100, id="it was renewed after the first look"),
        pytest.param([(100, 5), (103, 5), (106, 15)], 103, id="after the last look that did not show it"),
        pytest.param([(100, 5), (110, 15), (112, 15)], 100, id="a look without a renewal adds nothing"),
        pytest.param([(100, 5), (110, 15), (120, 25)], 110, id="each renewal proves more"),
        pytest.param([(100, 5), (110, 20)], 100, id="it was a little late"),
        pytest.param([(100, 5), (110, 20.1)], NEVER, id="one renewal was missed"),
        pytest.param([(100, 5), (110, 20.1), (120, 30.1)], 110, id="and then it was regular again"),
        pytest.param([(100, 5), (130, 35)], 100, id="nobody looked for a while"),
        pytest.param([(100, 5), (130, 40.1)], NEVER, id="or it was away meanwhile"),
        pytest.param([(100, 5), (110, 5), (300, 200), (310, 210)], 300, id="a second renewal after it is back"),
        pytest.param([(100, 5), (110, 3_605)], NEVER, id="its clock was set forward"),
        pytest.param([(100, 5), (110, 3_605), (120, 3_615)], 110, id="its clock is an hour fast"),
        pytest.param([(100, 5_000), (110, 1_400)], NEVER, id="its clock was set back"),
        pytest.param([(100, 5), (110, 15), (120, 900), (130, 910)], 120, id="set between two renewals"),
    ],
)  # fmt: skip
def test_v3_a_renewal_that_an_earlier_look_did_not_show_proves_that_a_node_was_alive(
    looks: list[Look], alive_at: float
) -> None:
    life = follow(*looks)
    assert life.alive_at == alive_at
    assert life.seen_at == looks[-1][0]


@pytest.mark.parametrize(
    ("looks", "lost"),
    [
        pytest.param([(100, 5)], False, id="nobody knows yet"),
        pytest.param([(100, 5), (120, 5)], False, id="20 s old at least"),
        pytest.param([(100, 5), (120.001, 5)], True, id="older"),
        pytest.param([(100, 5), (130, 5), (131, 5)], True, id="it stays so"),
        pytest.param([(100, 5), (130, 5), (140, 140)], False, id="it is back"),
    ],
)
def test_v3_a_node_whose_lease_is_not_renewed_for_20_seconds_may_be_dead(
    looks: list[Look], *, lost: bool
) -> None:
    assert follow(*looks).lost is lost


def test_v3_a_node_that_renews_its_lease_more_rarely_has_more_time() -> None:
    assert follow((100, 5), (130, 35), interval=30.0).alive_at == 100
    assert follow((100, 5), (110, 50), interval=30.0).alive_at == 100
    assert not follow((100, 5), (160, 5), interval=30.0).lost
    assert follow((100, 5), (160.001, 5), interval=30.0).lost


def test_v3_without_a_lease_each_look_is_proof() -> None:
    life = trust_condition(100.0)
    assert (life.alive_at, life.since, life.lost) == (100.0, 100.0, False)
    assert follow_lease(life, Renewal(5.0), 110.0) == Life(110.0, Renewal(5.0), since=110.0)
