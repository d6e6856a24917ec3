"""Anything at all in any place of any object: the store bears it, and so does the decision.

An exception in here would end a watch, and with it the process, again and again: one bad object would
stop the service of all others.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.strategies import JSON
from tests.unit.cluster.raws import T0, guarded, pod, ready_pod, replica_set, waiting
from tripswitch.api.codec import InvalidObjectError, write_status
from tripswitch.api.identity import RETRY
from tripswitch.cluster.errors import error_from
from tripswitch.cluster.pods import see_pod
from tripswitch.cluster.store import Store
from tripswitch.domain.decide import decide
from tripswitch.domain.values.replica_sets import CreateError

Object = dict[str, Any]

EXPRESSIONS = {
    "matchLabels": {"app": "web"},
    "matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}],
}
WHOLE: list[Object] = [
    guarded(selector=EXPRESSIONS, deploymentConfiguration={"deploymentCircuitBreaker": {}}),
    replica_set(),
    replica_set(name="web-orphan", uid="rs-2", guard=None),
    ready_pod(),
    pod(waiting("CrashLoopBackOff", restartCount=2), name="b", uid="pod-2"),
]


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every part of an object."""
    found = [path] if path else []
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            found += _places(value, (*path, key))
    return found


def _find(raw: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        raw = raw[key]
    return raw


PLACES = [
    (number, place)
    for number, raw in enumerate(WHOLE)
    for place in _places(raw)
    # Who it is: without these the API server has no object.
    if place not in (("metadata",), ("metadata", "name"), ("metadata", "namespace"))
]


@given(st.lists(st.tuples(st.sampled_from(PLACES), JSON), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_no_object_stops_the_service(changes: list[tuple[tuple[int, Any], Any]]) -> None:
    objects = copy.deepcopy(WHOLE)
    for (number, place), value in changes:
        _put(objects[number], place, value)
    now = T0 + 60
    store = Store(lambda _: None, lambda: now)
    store.upsert_guarded(objects[0])
    for raw in objects[1:3]:
        store.replica_sets.upsert(raw)
    for raw in objects[3:]:
        store.pods.upsert(raw)
    for record in store.records():
        try:
            snapshot = store.snapshot(record)
        except InvalidObjectError:
            continue  # told as an event, its pods left alone
        decision = decide(snapshot, now)
        assert write_status(decision.status, 1)


def _put(raw: Any, place: tuple[Any, ...], value: Any) -> None:
    """Put a value into a place, if an earlier change has left the way there."""
    for key in place[:-1]:
        try:
            raw = raw[key]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(raw, dict) or (isinstance(raw, list) and place[-1] < len(raw)):
        raw[place[-1]] = value


STEERING = "".join(map(chr, (*range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))))
"""Control characters of C1, and what turns the direction of reading."""
WHO = {"uid", "name", "namespace", "resourceVersion", "kind", "apiVersion", "app"}
TEXTS = [
    (number, place)
    for number, place in PLACES
    # The schema of the CRD lets only texts of few places of a GuardedDeployment through.
    if number and isinstance(_find(WHOLE[number], place), str) and place[-1] not in WHO
]


def test_what_steers_a_terminal_gets_into_no_status_and_no_event() -> None:
    """It would be shown by ``kubectl get -o json``, which escapes none of these."""
    objects = copy.deepcopy(WHOLE)
    objects[0]["metadata"]["annotations"] = {RETRY: f"again{STEERING}"}
    container = {"name": "web", "image": f"web:1{STEERING}"}
    objects[0]["spec"]["template"]["spec"]["containers"] = [container]
    for number, place in TEXTS:
        _put(objects[number], place, f"{_find(WHOLE[number], place)}{STEERING}")
    waits = objects[4]["status"]["containerStatuses"][0]["state"]["waiting"]
    waits["message"] = f"no such image{STEERING}"
    now = T0 + 60
    store = Store(lambda _: None, lambda: now)
    store.upsert_guarded(objects[0])
    for raw in objects[1:3]:
        store.replica_sets.upsert(raw)
    for raw in objects[3:]:
        store.pods.upsert(raw)
    (record,) = store.records()
    store.refuse(record, refused(store.snapshot(record).guarded.spec.template.digest))
    decision = decide(store.snapshot(record), now)
    told = json.dumps(write_status(decision.status, 1), ensure_ascii=False)
    told += "".join(event.message for event in decision.events)
    shown = see_pod(objects[4], None, now).view.containers[0]
    assert (shown.waiting, shown.message) == ("CrashLoopBackOff", "no such image")
    assert "again" in told
    assert "web:1" in told
    assert [hex(ord(char)) for char in told if char in STEERING] == []


def refused(digest: str) -> CreateError:
    error = error_from(403, {"message": f"quota{STEERING} exceeded"})
    assert str(error) == "quota exceeded"
    return CreateError(digest, "web-a", message=str(error))
