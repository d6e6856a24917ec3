"""The judge of the operator's rights sees what it must, and is not fooled by other refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.rights import Right, judge
from tools.operator_process import USER

PODS = {verb: Right("", "pods", verb) for verb in ("list", "delete")}


def line(verb: str, *, decision: str = "allow", user: str = USER, **about: str) -> str:
    """One line of an audit log."""
    event: dict[str, Any] = {
        "user": {"username": user},
        "verb": verb,
        "objectRef": {"resource": "pods", **about},
        "annotations": {"authorization.k8s.io/decision": decision},
        "responseStatus": {"code": 403},
    }
    return json.dumps(event) + "\n"


def judged(tmp_path: Path, *lines: str, whole: bool = True) -> list[str]:
    log = tmp_path / "audit.log"
    log.write_text("".join(lines))
    return judge(log, set(PODS.values()), whole=whole)


def test_all_used_and_nothing_refused_is_well(tmp_path: Path) -> None:
    """A refusal by admission (403, but allowed by the authorizer) is not about rights."""
    assert judged(tmp_path, line("list"), line("delete")) == []


def test_a_right_that_was_never_used_is_too_much(tmp_path: Path) -> None:
    """Somebody else's use does not count."""
    lines = (line("list"), line("delete", user="admin"))
    assert judged(tmp_path, *lines) == ["granted and never used: delete pods"]
    assert judged(tmp_path, *lines, whole=False) == []


def test_a_request_refused_for_want_of_a_right_is_a_bug(tmp_path: Path) -> None:
    """Subresources are resources of their own."""
    lines = (line("list"), line("delete"), line("get", decision="forbid", subresource="log"))
    assert judged(tmp_path, *lines, whole=False) == ["needed and not granted: get pods/log"]
