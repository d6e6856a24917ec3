"""The page says where each number is from, and why a target was missed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.etcd import copies
from benchmarks.real import read_real_node
from benchmarks.report import Result, Row, render


def result(run: str, *rows: Row) -> dict[str, Any]:
    facts = {"run": run, "scale": "full", "machine": "2 cores", "versions": "v1", "seconds": 1}
    return {**facts, **asdict(Result("By looking.", list(rows)))}


def test_every_row_names_its_run() -> None:
    page = render(
        {
            "cost": result("2026-01-02", Row("requests", "12", "20", target="13", met=True)),
            "trips": result("2026-01-01", Row("latency", "9 ms")),
        }
    )
    assert "| requests | 12 | 20 | - | 13 | yes | 2 |" in page
    assert "| latency | 9 ms | - | - | - |  | 1 |" in page
    assert "Missed targets" not in page


def test_a_missed_target_comes_with_its_reason() -> None:
    row = Row("fail-over", "16 s", target="under 15 s", met=False, reason="the Lease has 15 s")
    page = render({"failover": result("2026-01-01", row)})
    assert "| **no** |" in page
    assert "- fail-over: the Lease has 15 s" in page


def test_copies_of_a_fleet_keep_who_belongs_to_whom() -> None:
    owner: dict[str, Any] = {"metadata": {"name": "model", "uid": "u1", "resourceVersion": "7"}}
    child: dict[str, Any] = {
        "metadata": {"name": "model-abc", "uid": "u2", "ownerReferences": [{"uid": "u1"}]}
    }
    group = [("/gd/", owner), ("/rs/", child)]
    made = dict(copies("model", group, "shop", ["web-1", "web-2"]))
    assert list(made) == [
        "/gd/shop/web-1",
        "/rs/shop/web-1-abc",
        "/gd/shop/web-2",
        "/rs/shop/web-2-abc",
    ]
    first = made["/gd/shop/web-1"]["metadata"]
    assert "resourceVersion" not in first
    assert first["namespace"] == "shop"
    assert made["/rs/shop/web-1-abc"]["metadata"]["ownerReferences"] == [{"uid": first["uid"]}]
    assert first["uid"] != made["/gd/shop/web-2"]["metadata"]["uid"]


def test_the_rows_of_the_real_node_are_read_from_its_page() -> None:
    page = """
| image | replicas 1 | replicas 4 | replicas 10 |
|---|---|---|---|
| exit-2: trip / restored | 15.5 / 0.3 | 3.9 / 0.4 | |
| good: completed | 1.0 | 1.2 | 2.0 |
| never-ready: trip / restored | | 53.0 / 0.2 | 54.2 / 0.2 |

| image | replicas | first failure | threshold reached | then the trip |
|---|---|---|---|---|
| never-ready | 4 | 32.5 s | 32.9 s | 80 ms |
| never-ready | 10 | 32.5 s | 33.2 s | 800 ms |
"""
    rows = read_real_node(page).rows
    assert [(row.ours, row.target, row.met) for row in rows] == [
        ("15.8 s", "16 s", True),
        ("4.3 s", "4 s", False),
        ("53.2 s, 20.3 s after the health deadline", "health deadline + 21 s", True),
        ("54.4 s, 21.2 s after the health deadline", "health deadline + 21 s", False),
    ]


def test_the_trips_of_guarded_deployments_are_read_from_the_same_page() -> None:
    """Half a second more than a GuardedDeployment's; what is whole later is not in the target."""
    page = """
## A guarded Deployment beside a plain one

Written by hand here: rounds: 1.

| image | replicas | readiness probe | trip / restored | fewest | lost | requests | plain: fewest | plain: lost |
|---|---|---|---|---|---|---|---|---|
| exit-2 | 4 | no | 4.4 / 40.8 | 0 | 8.1 | 32 | 1 | 178 |
| missing-tag | 10 | yes | 5.6 / 0.6 | 8 | 4.3 | 26 | 8 | 120 |
"""
    rows = read_real_node(page).rows
    assert [(row.ours, row.target, row.met) for row in rows] == [
        ("4.4 s, whole 40.8 s later; 8.1 pod seconds lost", "4.5 s", True),
        ("5.6 s, whole 0.6 s later; 4.3 pod seconds lost", "5.5 s", False),
    ]
    assert "without readiness probe" in rows[0].measure
