"""The reader of the audit log, held against lines that a real API server wrote.

The recording: a ReplicaSet of two is scaled to one (through ``scale``), given a finalizer and deleted (and
its pod by the garbage collector); one is deleted in the foreground; a namespace goes with a third in it.
What is expected is what a watch of the same moments showed, but for bindings, which have no body.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tools.cluster.audit import PODS, SETS, AuditLog, Trail, Version

LINES = Path(__file__).with_name("audit.jsonl").read_bytes().splitlines(keepends=True)
LATER = 4e9
"""A moment when everything has been answered, in seconds since 1970."""


class Log:
    """A log that grows, and who reads it."""

    def __init__(self, path: Path, hold: float = 10.0) -> None:
        path.touch()
        self.path = path
        self.trail = Trail(AuditLog(path), hold)

    def write(self, *lines: bytes) -> None:
        """The API server has answered."""
        with self.path.open("ab") as log:
            log.writelines(lines)

    def read(self, now: float = LATER) -> list[Version]:
        """All that is new."""
        return list(self.trail.read(now))


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "audit.log")


def life(versions: list[Version], name: str, kind: str = SETS) -> list[tuple[str, int, bool]]:
    """Of one object: event, size, and whether it is marked for deletion; repetitions folded."""
    found: list[tuple[str, int, bool]] = []
    for one in versions:
        if one.kind == kind and one.name.startswith(name):
            size = one.raw["spec"].get("replicas", 0)
            now = (one.event, size, "deletionTimestamp" in one.raw["metadata"])
            found += [now] if found[-1:] != [now] else []
    return found


def changed(line: bytes, **fields: Any) -> bytes:
    return json.dumps({**json.loads(line), **fields}).encode() + b"\n"


def find(verb: str, resource: str) -> bytes:
    for line in LINES:
        raw = json.loads(line)
        if (raw["verb"], raw["objectRef"]["resource"]) == (verb, resource):
            return line
    raise AssertionError(f"not recorded: {verb} {resource}")


def test_a_request_whose_answer_takes_long_is_told_of_once(log: Log) -> None:
    requests = AuditLog(log.path)
    log.write(changed(LINES[0], stage="ResponseStarted"), LINES[0])
    assert [request.raw["stage"] for request in requests.read()] == ["ResponseComplete"]


def test_it_is_what_a_watch_shows(log: Log) -> None:
    log.write(*LINES)
    versions = log.read()
    assert life(versions, "web") == [
        ("MODIFIED", 2, False),
        ("MODIFIED", 1, False),
        ("MODIFIED", 1, True),
        ("DELETED", 1, True),
    ]
    assert life(versions, "fore") == [
        ("MODIFIED", 1, False),
        ("MODIFIED", 1, True),
        ("DELETED", 1, True),
    ]
    assert life(versions, "last") == [("MODIFIED", 1, False), ("DELETED", 1, False)]
    for name in ("web-chmq4", "web-cmrq4", "fore-tzmwf", "last-v5dp4"):
        assert life(versions, name, PODS) == [
            ("MODIFIED", 0, False),
            ("MODIFIED", 0, True),
            ("DELETED", 0, True),
        ]
    assert [one.at for one in versions] == sorted(one.at for one in versions)


def test_answers_that_overtook_each_other_are_put_in_order(log: Log) -> None:
    log.write(*LINES)
    ordered = [(one.event, one.at, one.uid) for one in log.read()]
    for seed in range(20):
        chance = random.Random(seed)
        # Each line up to a few places later than it was.
        late = sorted(enumerate(LINES), key=lambda one: one[0] + chance.random() * 3)
        kept = [
            line for _, line in late if json.loads(line)["responseObject"].get("kind") != "Status"
        ]
        other = Log(log.path.with_name(f"{seed}.log"))
        other.write(*kept)
        found = [(one.event, one.at, one.uid) for one in other.read()]
        assert found == [one for one in ordered if one in found]
        assert {event for event, _, _ in found} == {"MODIFIED", "DELETED"}


def test_a_line_waits_for_those_before_it(log: Log) -> None:
    log.write(*LINES)
    first, *_, last = sorted(
        datetime.fromisoformat(json.loads(line)["stageTimestamp"]) for line in LINES
    )
    assert log.read(first.timestamp() + 9) == []
    some = log.read(last.timestamp() + 5)
    assert len(some) > 0
    assert all(one.seen <= last.timestamp() - 5 for one in some)
    assert log.read(last.timestamp() + 10)


def test_an_answer_about_an_old_version_holds_nothing_up(log: Log) -> None:
    """A patch that changes nothing is answered with the version that is there."""
    log.write(*LINES)
    everything = [(one.at, one.uid) for one in log.read()]
    later = Log(log.path.with_name("later.log"))
    last = datetime.fromisoformat(json.loads(LINES[-1])["stageTimestamp"])
    late = (last + timedelta(seconds=60)).isoformat()
    later.write(*LINES, changed(find("create", "pods"), verb="patch", stageTimestamp=late))
    assert [(one.at, one.uid) for one in later.read(last.timestamp() + 30)] == everything


def test_a_half_written_line_is_read_when_it_is_whole(log: Log) -> None:
    line = find("create", "pods")
    log.write(line[:100])
    assert log.read() == []
    log.write(line[100:])
    assert [one.kind for one in log.read()] == [PODS]
    assert log.read() == []


def test_only_what_took_effect_counts(log: Log) -> None:
    line = find("create", "pods")
    log.write(
        changed(line, responseStatus={"code": 409}),
        changed(line, stage="ResponseStarted"),
        changed(line, requestURI="/api/v1/namespaces/n/pods?dryRun=All"),
        changed(line, verb="get"),
    )
    assert log.read() == []


def test_a_log_without_bodies_is_refused(log: Log) -> None:
    raw = json.loads(find("create", "pods"))
    del raw["responseObject"]
    log.write(json.dumps(raw).encode() + b"\n")
    with pytest.raises(ValueError, match="no bodies: create pods"):
        log.read()


def test_the_same_version_answered_twice_is_told_once(log: Log) -> None:
    line = find("create", "pods")
    log.write(line, changed(line, verb="patch"))
    assert len(log.read()) == 1


def test_a_json_patch_counts_like_any_other(log: Log) -> None:
    line = find("create", "pods")
    log.write(changed(line, verb="patch", requestObject=[{"op": "remove", "path": "/spec/x"}]))
    assert len(log.read()) == 1
