"""One command's talk with the API server: objects in, objects out, problems in plain words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from tripswitch.api.identity import API_VERSION, KIND
from tripswitch.api.tolerant import field, objects
from tripswitch.cli.problems import Exit, Problem, explain
from tripswitch.cli.where import Where
from tripswitch.cluster.client import MERGE_PATCH, Client
from tripswitch.cluster.credentials import Credentials
from tripswitch.cluster.errors import ApiError
from tripswitch.cluster.http_transport import HttpTransport
from tripswitch.cluster.resources import GUARDED_DEPLOYMENTS, NAMESPACES, Resource

SHORT_NAMES = {
    "guardeddeployments": "gdeploy",
    "deploymentcircuitbreakers": "dcb",
    "deployments": "deploy",
    "statefulsets": "sts",
}
"""How messages name a resource: as kubectl takes it."""

Object = Mapping[str, Any]
Result = TypeVar("Result")


class Session:
    """Reads and writes in one namespace. Every error comes out as a :class:`Problem`."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    def describe(self, resource: Resource, name: str) -> str:
        """Return how a message names an object."""
        short = SHORT_NAMES.get(resource.plural)
        return (
            f"{short}/{name} in namespace {self.namespace}"
            if short
            else f"{resource.plural} {name}"
        )

    async def get(self, name: str) -> Object:
        """Return a GuardedDeployment."""
        return await self.read(GUARDED_DEPLOYMENTS, name)

    async def read(self, resource: Resource, name: str) -> Object:
        """Return one object."""
        path = resource.path(self.namespace, name)
        return await self._try(self.client.request("GET", path), self.describe(resource, name))

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create an object and return it."""
        what = self.describe(resource, str(field(body, "metadata", "name")))
        path = resource.path(self.namespace)
        return await self._try(self.client.request("POST", path, body=body), what)

    async def patch(self, resource: Resource, name: str, change: Object) -> Object:
        """Merge a change into an object and return it."""
        path = resource.path(self.namespace, name)
        request = self.client.request("PATCH", path, body=change, content_type=MERGE_PATCH)
        return await self._try(request, self.describe(resource, name))

    async def delete(self, resource: Resource, name: str, uid: str) -> None:
        """Delete the very object with this UID."""
        path = resource.path(self.namespace, name)
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        request = self.client.request("DELETE", path, body=body)
        await self._try(request, self.describe(resource, name))

    async def replace(self, name: str, changed: Object) -> Object:
        """Write a whole GuardedDeployment; refused if it is not the version that was read."""
        path = GUARDED_DEPLOYMENTS.path(self.namespace, name)
        return await self._try(
            self.client.request("PUT", path, body=changed), self.describe(GUARDED_DEPLOYMENTS, name)
        )

    async def namespaces(self) -> AsyncIterator[str]:
        """Yield the names of all namespaces."""
        for one in await self.list_all(NAMESPACES, everywhere=True):
            yield str(field(one, "metadata", "name"))

    async def list_all(
        self,
        resource: Resource,
        *,
        everywhere: bool = False,
        query: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """Return all objects of one kind in the namespace, or in all namespaces."""
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
    credentials = Credentials(where.kubeconfig, context=where.context, file_first=True)
    try:
        await credentials.load()
        transport = HttpTransport(credentials)
    except ApiError as error:
        words = " ".join(str(error).split())
        raise Problem(f"{words}; is a cluster configured?", Exit.NO_CLUSTER) from error
    async with Client(transport) as client:
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
