"""The tree of ``status``: what a person reads at 3 a.m."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from tests.unit.cli.statuses import (
    guarded,
    in_progress,
    replica_set,
    rolled_back,
    waiting_at_a_hook,
)
from tests.unit.cluster.raws import T0, at, ended, pod, ready_pod, waiting
from tripswitch.cli.formatting import format_moment
from tripswitch.cli.output import to_plain
from tripswitch.cli.status.tree import render_line, render_status
from tripswitch.cli.status.view import Outcome, View, build_view

NOW = T0 + 60


def draw(view: View, **how: Any) -> str:
    console = Console(file=io.StringIO(), width=200, markup=False)
    console.print(render_status(view, NOW, **how))
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())


def crashing(number: int) -> dict[str, Any]:
    status = waiting(
        "CrashLoopBackOff", restartCount=1, lastState={"terminated": ended(2, "Error")}
    )
    return pod(status, name=f"web-b-{number}", uid=f"b{number}", owner="rs-b")


def failing_view(pods: int = 2) -> View:
    good = [ready_pod(name=f"web-a-{n}", uid=f"a{n}", owner="rs-a") for n in range(1, 3)]
    sets = [replica_set("web-a"), replica_set("web-b")]
    bad = [crashing(number) for number in range(1, pods + 1)]
    return build_view(guarded(in_progress()), sets, [*good, *bad], NOW)


def test_the_tree_shows_rollout_breaker_causes_revisions_replica_sets_and_pods() -> None:
    assert (
        draw(failing_view())
        == """\
web  namespace shop  4 of 4 pods healthy
├── ◌ rollout IN_PROGRESS  revision 2  55s
│   └── revision 2 failed and was rolled back to revision 1
├── breaker ■■□ 2/3  MONITORING  stage LAUNCH
│   └── ✖ Error x3  LAUNCH: container web exited 2, revision 2, pod web-b-1 on node-1  51s ago
├── ◌ revision 2  IN_PROGRESS  (wanted)  0/4 healthy  3 failures  web:2  57s ago
│   └── ReplicaSet web-b  0 of 4 ready
│       ├── ✖ web-b-1  CrashLoopBackOff  container web exited 2, 1 restart  node-1
│       └── ✖ web-b-2  CrashLoopBackOff  container web exited 2, 1 restart  node-1
└── ✔ revision 1  COMPLETED  (last completed)  4/4 healthy  web:1  46s ago
    └── ReplicaSet web-a  2 of 4 ready
        ├── ✔ web-a-1  Ready  for 58s  node-1
        └── ✔ web-a-2  Ready  for 58s  node-1
  stop it: kubectl tripswitch stop -n shop web --rollback"""
    )


def test_evidence_is_shown_whatever_its_fields_are_called() -> None:
    status = rolled_back()
    status["circuitBreaker"]["failures"][0] |= {
        "message": "probe failed:\n HTTP 500",
        "evidence": {
            "pod": "web-b-1",
            "event": "Readiness probe failed",
            "logTail": "Traceback\n  KeyError: 'DB'\n",
        },
    }
    lines = [
        line.strip("│├└─ ") for line in draw(build_view(guarded(status), (), (), NOW)).split("\n")
    ]
    shown = [
        "probe failed: HTTP 500",
        "event: Readiness probe failed",
        "log tail:",
        "Traceback",
        "KeyError: 'DB'",
    ]
    assert [line for line in lines if line in shown] == shown


@pytest.mark.parametrize("kind", ["LAUNCH", "HEALTH"])
@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("ErrImagePull", "container web cannot start: ErrImagePull, revision 2"),
        ("Error", "container web ended with an unknown exit code, revision 2"),
    ],
)
def test_a_failure_without_an_exit_code_is_told_by_its_reason(
    kind: str, reason: str, words: str
) -> None:
    status = rolled_back()
    failure = status["circuitBreaker"]["failures"][0]
    failure |= {"kind": kind, "reason": reason}
    failure.pop("exitCode", None)
    assert f"{kind}: {words}" in draw(build_view(guarded(status), (), (), NOW))


def test_words_of_strangers_cannot_steer_the_terminal() -> None:
    status = rolled_back()
    status["circuitBreaker"]["failures"][0] |= {
        "message": "\x1b]0;owned\x07",
        "logTail": "\x1b[2J\x1b[1;1H gone",
    }
    assert "\x1b" not in draw(build_view(guarded(status), (), (), NOW))


def test_many_pods_are_cut_short_and_the_failing_ones_come_first() -> None:
    view = failing_view(pods=14)
    assert "and 4 CrashLoopBackOff more (--all-pods)" in draw(view)
    assert "web-b-14" in draw(view, all_pods=True)


def test_an_object_that_nobody_has_looked_at_says_so() -> None:
    view = build_view(guarded(), (), (), NOW)
    assert "the operator has not handled it" in draw(view)
    assert render_line(view).startswith("shop/web  not looked at yet  0/4 healthy")


def test_a_refused_replica_set_is_shown_in_the_servers_words() -> None:
    refused = {
        "type": "Progressing",
        "status": "False",
        "reason": "ReplicaSetCreateError",
        "message": "containers[0].name: Invalid value",
    }
    view = build_view(guarded(in_progress() | {"conditions": [refused]}), (), (), NOW)
    assert "containers[0].name: Invalid value" in draw(view)


def test_the_next_step_is_offered() -> None:
    shown = draw(build_view(guarded(rolled_back()), (), (), NOW))
    assert "what was changed: kubectl tripswitch diff -n shop web" in shown
    assert "try it again: kubectl tripswitch retry -n shop web" in shown
    paused = draw(build_view(guarded(in_progress(), paused=True), (), (), NOW))
    assert "paused: kubectl tripswitch resume -n shop web" in paused


def test_k1_a_hook_that_waits_is_shown_with_its_end_and_how_to_answer_it() -> None:
    shown = draw(build_view(guarded(waiting_at_a_hook("pause-1")), (), (), NOW))
    (line,) = [line for line in shown.splitlines() if "hook" in line and "pause" in line]
    until = format_moment(T0 + 3620)
    assert line.endswith(
        f"hook pause-1  PRE_SCALE_UP waits for an answer  for 40s  until {until}, then ROLLBACK"
    )
    assert "let it go on: kubectl tripswitch continue -n shop web\n" in shown
    assert "stop it: kubectl tripswitch continue -n shop web --rollback" in shown


def test_a_hook_without_times_is_shown_too() -> None:
    status = waiting_at_a_hook("pause-1")
    for hook in status["rollout"]["hooks"]:
        hook.pop("startedAt", None)
        hook.pop("expiresAt", None)
    shown = draw(build_view(guarded(status), (), (), NOW))
    assert "hook pause-1  PRE_SCALE_UP waits for an answer\n" in shown


@pytest.mark.parametrize(
    ("rollout", "desired", "outcome"),
    [
        ("PENDING", 1, Outcome.RUNNING),
        ("IN_PROGRESS", 1, Outcome.RUNNING),
        ("ROLLBACK_IN_PROGRESS", 2, Outcome.RUNNING),
        ("SUCCESSFUL", 1, Outcome.COMPLETED),
        ("FAILED", 1, Outcome.FAILED),
        ("STOPPED", 1, Outcome.FAILED),
        ("ROLLBACK_FAILED", 2, Outcome.FAILED),
        ("ROLLBACK_SUCCESSFUL", 2, Outcome.FAILED),
        # The old template was put back: what the rollback brought back is what is wanted.
        ("ROLLBACK_SUCCESSFUL", 1, Outcome.COMPLETED),
    ],
)
def test_a_rollback_is_never_a_success(rollout: str, desired: int, outcome: Outcome) -> None:
    status = rolled_back(desiredRevision=desired)
    status["rollout"]["status"] = rollout
    assert build_view(guarded(status), (), (), NOW).outcome is outcome


@pytest.mark.parametrize(
    "newer",
    [
        guarded(rolled_back(), generation=2),
        guarded(rolled_back(), annotations={"tripswitch.dev/retry": "again"}),
        guarded(rolled_back(), annotations={"tripswitch.dev/stop": "2/ABORT"}),
    ],
    ids=["spec", "retry", "stop"],
)
def test_what_the_operator_has_not_seen_yet_has_not_ended(newer: dict[str, Any]) -> None:
    assert build_view(newer, (), (), NOW).outcome is Outcome.RUNNING


def test_the_view_is_plain_data_for_programs() -> None:
    plain = to_plain(failing_view())
    assert plain["outcome"] == "RUNNING"
    assert plain["breaker"]["count"] == 2
    assert plain["rollout"]["startedAt"] == at(5)
    pods = plain["revisions"][0]["replicaSet"]["pods"]
    assert pods[0] == {
        "name": "web-b-1",
        "tone": "bad",
        "state": "CrashLoopBackOff",
        "why": "container web exited 2, 1 restart",
        "node": "node-1",
        "restarts": 1,
    }


def alarms(**fields: Any) -> str:
    status = in_progress() | {"alarms": fields}
    drawn = draw(build_view(guarded(status), [], [], NOW)).splitlines()
    return "\n".join(
        line for line in drawn if line.startswith(("├── alarms", "│   ├── ", "│   └── "))
    )


def test_a1_the_tree_shows_the_alarm_that_failed_the_rollout() -> None:
    triggered = {
        "alarmName": "HighErrorRate",
        "labels": {"namespace": "shop", "app": "web"},
        "summary": "7% of requests fail",
    }
    names = ["HighErrorRate", "Slow"]
    drawn = alarms(
        status="TRIGGERED",
        watchedAlarmNames=names,
        triggeredAlarms=[triggered],
        ignoredAlarmNames=None,
    )
    assert (
        "├── alarms TRIGGERED  HighErrorRate, Slow\n"
        '│   └── HighErrorRate  7% of requests fail  app="web", namespace="shop"'
    ) in drawn


def test_a2_the_tree_shows_which_alarms_are_not_watched() -> None:
    drawn = alarms(
        status="MONITORING",
        ignoredAlarmNames=["Errors"],
        unknownAlarmNames=["Typo"],
        unavailableSince="2026-01-01T00:00:00Z",
    )
    assert (
        "├── alarms MONITORING\n"
        "│   ├── Errors  ignored, it was already firing when the rollout began\n"
        "│   ├── Typo  not watched, no alerting rule has that name\n"
        "│   └── cannot be read since 2026-01-01T00:00:00Z"
    ) in drawn


def test_the_tree_has_no_alarms_where_none_are_watched() -> None:
    assert "alarms" not in draw(failing_view())
