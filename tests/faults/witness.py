"""Sees every version of every object that matters, beside the operator and beside the proxy.

What is there at every moment, as the world sees it: the bounds are held against this. After a restart
of the API server there may be versions that nobody saw; counts are taken from the audit log instead.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from tools.cluster.audit import GUARDED, PODS, SETS, Object, Version
from tools.cluster.control_plane import ControlPlane
from tools.cluster.processes import Startable

ROOTS = {GUARDED: "/apis/tripswitch.dev/v1alpha1", SETS: "/apis/apps/v1", PODS: "/api/v1"}


class Witness(Startable):
    """Watches GuardedDeployments, ReplicaSets and pods of all namespaces as the admin."""

    def __init__(self, cluster: ControlPlane) -> None:
        self._server = urlsplit(cluster.server).netloc
        self._token = cluster.token
        self._trust = ssl.create_default_context(cafile=str(cluster.certificate_authority))
        self._seen: list[Version] = []
        self._there: dict[str, dict[str, Object]] = {kind: {} for kind in ROOTS}
        """What is there now, by UID: what a list after a gap does not have is gone."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._reached = dict.fromkeys(ROOTS, 0)
        self._threads = [
            threading.Thread(target=self._follow, args=(kind,), name=f"witness {kind}", daemon=True)
            for kind in ROOTS
        ]

    def start(self) -> None:
        """Return when everything is being watched."""
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 60
        while not all(self._reached.values()):
            assert time.monotonic() < deadline, "the witness did not see anything"
            time.sleep(0.02)

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()

    def story(self, namespace: str) -> list[Version]:
        """Return what was seen of a namespace until now, in the order in which it happened."""
        self._catch_up()
        with self._lock:
            return sorted(
                (one for one in self._seen if one.namespace == namespace), key=lambda one: one.at
            )

    def forget(self, namespace: str) -> None:
        """Drop a namespace whose story has been judged."""
        with self._lock:
            self._seen = [one for one in self._seen if one.namespace != namespace]

    def latest(self, namespace: str, kind: str) -> dict[str, Object]:
        """Return the objects that are there, by name, as far as they have been seen."""
        return {
            str(raw["metadata"]["name"]): raw
            for raw in list(self._there[kind].values())
            if raw["metadata"]["namespace"] == namespace
        }

    def _catch_up(self, seconds: float = 60.0) -> None:
        """Wait until every watch has come to where the API server was when this was called."""
        deadline = time.monotonic() + seconds
        wanted = {kind: self._list(kind)[0] for kind in ROOTS}
        while any(self._reached[kind] < at for kind, at in wanted.items()):
            assert time.monotonic() < deadline, f"the witness is behind: {self._reached} {wanted}"
            time.sleep(0.05)

    def _list(self, kind: str) -> tuple[int, list[Object]]:
        """Return the version of the newest object there is, and the objects."""
        connection, answer = self._open(f"{ROOTS[kind]}/{kind}?limit=0")
        listed = json.loads(answer.read())
        connection.close()
        items: list[Object] = listed["items"]
        newest = max((int(raw["metadata"]["resourceVersion"]) for raw in items), default=0)
        return newest, items

    def _open(self, path: str) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(self._server, context=self._trust, timeout=120)
        connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
        answer = connection.getresponse()
        if answer.status != 200:
            connection.close()
            raise OSError(f"{path}: {answer.status}")
        return connection, answer

    def _follow(self, kind: str) -> None:
        """Watch from the very beginning; after an interruption go on from the last version seen."""
        version = 0
        while not self._stopping.is_set():
            query = f"watch=1&allowWatchBookmarks=true&timeoutSeconds=60&resourceVersion={version}"
            try:
                if not version:
                    version = self._reached[kind] = self._list_again(kind)
                    continue
                connection, answer = self._open(f"{ROOTS[kind]}/{kind}?{query}")
                for event in _events(answer):
                    if event["type"] == "ERROR":
                        version = 0  # the API server has forgotten what was
                        break
                    version = int(event["object"]["metadata"]["resourceVersion"])
                    if event["type"] != "BOOKMARK":
                        self._take(kind, event["object"], gone=event["type"] == "DELETED")
                    self._reached[kind] = version
                connection.close()
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.1)  # the API server is away: that is what is being tested

    def _list_again(self, kind: str) -> int:
        connection, answer = self._open(f"{ROOTS[kind]}/{kind}")
        listed = json.loads(answer.read())
        connection.close()
        version = int(listed["metadata"]["resourceVersion"])
        there = {raw["metadata"]["uid"]: raw for raw in listed["items"]}
        for uid, raw in list(self._there[kind].items()):
            if uid not in there:
                raw["metadata"]["resourceVersion"] = str(version)
                self._take(kind, raw, gone=True)
        for uid, raw in there.items():
            known = self._there[kind].get(uid, {}).get("metadata", {}).get("resourceVersion")
            if known != raw["metadata"]["resourceVersion"]:
                self._take(kind, raw, gone=False)
        return version

    def _take(self, kind: str, raw: Object, *, gone: bool) -> None:
        raw["metadata"].pop("managedFields", None)
        version = Version(
            int(raw["metadata"]["resourceVersion"]), kind, raw, gone, time.monotonic()
        )
        with self._lock:
            self._seen.append(version)
        if gone:
            self._there[kind].pop(version.uid, None)
        else:
            self._there[kind][version.uid] = raw


def _events(answer: http.client.HTTPResponse) -> Iterator[Object]:
    for line in answer:
        event: Object = json.loads(line)
        yield event
