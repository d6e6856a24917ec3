"""The rows of single benchmarks say yes and no where they have to."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import halves, verdicts
from benchmarks.fleet import OURS
from benchmarks.scale import QUICK
from tools.cluster.audit import Request


def request(verb: str, resource: str, user: str = OURS.user, namespace: str = "") -> Request:
    return Request(user, verb, resource, namespace, "name", 200, {})


def test_only_reads_for_verdicts_are_counted() -> None:
    requests = [
        request("list", "pods"),
        request("get", "nodes"),
        request("get", "leases", namespace="kube-node-lease"),
        request("get", "leases", namespace="tripswitch-system"),
        request("watch", "pods"),
        request("get", "pods/log"),
        request("list", "pods", user="somebody"),
    ]
    assert verdicts.count_reads(requests) == {"list pods": 1, "get nodes": 1, "get leases": 1}


@pytest.mark.parametrize(("lists", "met"), [(4, True), (5, False)])
def test_one_list_for_each_object_is_all_that_a_verdict_may_cost(lists: int, *, met: bool) -> None:
    late = Counter({"list pods": lists, "get nodes": 8})
    resting, listed, read = verdicts.build_rows(QUICK, 4, Counter(), late)
    assert (resting.ours, resting.met) == ("0", True)
    assert listed.met is met
    assert read.ours == "2.0"


def test_two_operators_are_compared_with_one() -> None:
    one = halves.Cost([4.0], [200.0], [10.0], 60.0)
    two = halves.Cost([2.0, 2.5], [120.0, 110.0], [6.0, 8.0], 58.0)
    memory, start, cpu, time = halves.build_rows("80 x 10 pods", one, two)
    assert (memory.ours, memory.met) == ("200 MiB; 120 and 110 MiB", True)
    assert start.ours == "4.0 s; 2.0 and 2.5 s"
    assert (cpu.ours, cpu.met) == ("10.0 s; 6.0 and 8.0 s", False)
    assert time.ours == "60 s; 58 s"
