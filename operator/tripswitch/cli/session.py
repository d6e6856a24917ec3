"""One command's talk with the API server: objects in, objects out, problems in plain words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from tripswitch.api.tolerant import field, objects
from tripswitch.cli.problems import Exit, Problem, explain
from tripswitch.cli.where import Where
from tripswitch.cluster.client import MERGE_PATCH, Client
from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.errors import ApiError
from tripswitch.cluster.http_transport import HttpTransport
from tripswitch.cluster.resources import (
    API_VERSION,
    GUARDED_DEPLOYMENTS,
    KIND,
    PODS,
    REPLICA_SETS,
    Resource,
)

NAMESPACES = Resource("/api/v1", "namespaces")

Object = Mapping[str, Any]
Result = TypeVar("Result")


class Session:
    """Reads and writes in one namespace. Every error comes out as a :class:`Problem`."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def name(self, name: str) -> str:
        """Return how a message names a GuardedDeployment."""
        return f"gdeploy/{name} in namespace {self.namespace}"

    async def get(self, name: str) -> Object:
        """Return a GuardedDeployment."""
        path = GUARDED_DEPLOYMENTS.path(self.namespace, name)
        return await self._try(self.client.request("GET", path), self.name(name))

    async def patch(self, name: str, change: Object) -> Object:
        """Merge a change into a GuardedDeployment and return it."""
        path = GUARDED_DEPLOYMENTS.path(self.namespace, name)
        request = self.client.request("PATCH", path, body=change, content_type=MERGE_PATCH)
        return await self._try(request, self.name(name))

    async def replace(self, name: str, changed: Object) -> Object:
        """Write a whole GuardedDeployment; refused if it is not the version that was read."""
        path = GUARDED_DEPLOYMENTS.path(self.namespace, name)
        return await self._try(self.client.request("PUT", path, body=changed), self.name(name))

    async def replica_set(self, name: str) -> Object:
        """Return a ReplicaSet."""
        path = REPLICA_SETS.path(self.namespace, name)
        return await self._try(self.client.request("GET", path), f"ReplicaSet {name}")

    async def guarded_deployments(self, *, everywhere: bool = False) -> list[Object]:
        """Return all GuardedDeployments of the namespace, or of all namespaces."""
        return await self._list(GUARDED_DEPLOYMENTS, everywhere=everywhere)

    async def namespaces(self) -> AsyncIterator[str]:
        """Yield the names of all namespaces."""
        for one in await self._list(NAMESPACES, everywhere=True):
            yield str(field(one, "metadata", "name"))

    async def children(self, guarded: Object) -> tuple[list[Object], list[Object]]:
        """Return the ReplicaSets and the pods of a GuardedDeployment."""
        selector = str(field(guarded, "status", "selector") or "")
        if not selector:  # the operator has not looked at it yet
            return [], []
        query = {"labelSelector": selector}
        return (
            await self._list(REPLICA_SETS, query=query),
            await self._list(PODS, query=query),
        )

    async def _list(
        self,
        resource: Resource,
        *,
        everywhere: bool = False,
        query: Mapping[str, str] | None = None,
    ) -> list[Object]:
        path = resource.path(None if everywhere else self.namespace)
        found: list[Object] = []
        try:
            async for page in self.client.pages(path, query):
                found += objects(page.get("items"))
        except ApiError as error:
            raise explain(error, resource.plural) from error
        return found

    async def _try(self, request: Awaitable[Result], what: str) -> Result:
        try:
            return await request
        except ApiError as error:
            raise explain(error, what) from error


@asynccontextmanager
async def open_session(where: Where) -> AsyncIterator[Session]:
    """Connect as kubectl would.

    Raises:
        Problem: There are no usable credentials.
    """
    credentials = Credentials(where.kubeconfig, context=where.context)
    try:
        await credentials.load()
    except ApiError as error:
        words = " ".join(str(error).split())
        raise Problem(f"{words}; is a cluster configured?", Exit.NO_CLUSTER) from error
    async with Client(HttpTransport(credentials)) as client:
        yield Session(client, where.namespace or credentials.namespace or "default")


def converse(where: Where, talk: Callable[[Session], Awaitable[Result]]) -> Result:
    """Run a command's talk with the API server to its end."""

    async def run() -> Result:
        async with open_session(where) as session:
            return await talk(session)

    return asyncio.run(run())


def as_object(raw: Object) -> dict[str, Any]:
    """Return a GuardedDeployment as it is written back: its kind said, its status left out."""
    body = {name: value for name, value in raw.items() if name != "status"}
    return {**body, "apiVersion": API_VERSION, "kind": KIND}
