"""Fleets of any size in seconds: finished objects are copied inside etcd.

One object is rolled out in the ordinary way; what the API server stored of it, of its ReplicaSet and
of its pods is then written again and again under other names and UIDs. A process that starts afterwards
cannot tell the copies from objects that went the long way.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import aiohttp

Object = dict[str, Any]
BATCH = 100  # operations of one transaction; etcd takes 128


class Etcd:
    """etcd's HTTP gateway."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/v3/kv"

    async def put(self, entries: Iterable[tuple[str, Object]]) -> None:
        """Write objects under their keys."""
        async with aiohttp.ClientSession() as session:
            batch: list[Object] = []
            for key, value in entries:
                put = {"key": _encode(key), "value": _encode(json.dumps(value))}
                batch.append({"requestPut": put})
                if len(batch) == BATCH:
                    await self._post(session, "txn", {"success": batch})
                    batch = []
            await self._post(session, "txn", {"success": batch})

    async def delete(self, prefix: str) -> int:
        """Delete everything below a prefix; return how many there were."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        async with aiohttp.ClientSession() as session:
            ranged = {"key": _encode(prefix), "range_end": _encode(end)}
            answer = await self._post(session, "deleterange", ranged)
            return int(answer.get("deleted", 0))

    async def _post(self, session: aiohttp.ClientSession, what: str, body: Object) -> Object:
        async with session.post(f"{self._url}/{what}", json=body) as response:
            answer: Object = await response.json(content_type=None)
            if response.status != 200:
                raise RuntimeError(f"etcd: {answer}")
            return answer


def copies(
    model: str, group: Iterable[tuple[str, Object]], namespace: str, names: Iterable[str]
) -> Iterator[tuple[str, Object]]:
    """Yield key and object of every copy of a group of objects that belong together.

    Args:
        model: The name that the copies have their own in place of, wherever it stands.
        group: Prefix of the key in etcd, and the object as the API server shows it.
        namespace: Where the copies go.
        names: Of the copies.
    """
    texts = [(prefix, json.dumps(_stored(raw, namespace))) for prefix, raw in group]
    uids = [raw["metadata"]["uid"] for _, raw in group]
    for name in names:
        mine = [(uid, str(uuid.uuid4())) for uid in uids]
        for prefix, text in texts:
            copied = text.replace(model, name)
            for old, new in mine:
                copied = copied.replace(old, new)
            raw = json.loads(copied)
            yield f"{prefix}{namespace}/{raw['metadata']['name']}", raw


def _stored(raw: Object, namespace: str) -> Object:
    """What is stored of an object: all but its version, which is etcd's own."""
    metadata = {key: raw["metadata"][key] for key in raw["metadata"] if key != "resourceVersion"}
    return {**raw, "metadata": {**metadata, "namespace": namespace}}


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
