"""The resources the operator works with, and how a request names them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tripswitch.api.identity import API_VERSION, BREAKER_PLURAL, PLURAL

_PATH = re.compile(
    r"/apis?(?:/[^/]+){1,2}?"
    r"(?:/namespaces/[^/]+)?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[a-z]+))?"
)


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object. ``root`` is the path of its API group and version."""

    root: str
    plural: str

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """Return the path of one object, of a namespace's objects, or of all of them.

        >>> PODS.path("shop", "web-1"), REPLICA_SETS.path()
        ('/api/v1/namespaces/shop/pods/web-1', '/apis/apps/v1/replicasets')
        """
        parts = [self.root, "namespaces", namespace] if namespace else [self.root]
        return "/".join([*parts, *(part for part in (self.plural, name, subresource) if part)])


GUARDED_DEPLOYMENTS = Resource(f"/apis/{API_VERSION}", PLURAL)
CIRCUIT_BREAKERS = Resource(f"/apis/{API_VERSION}", BREAKER_PLURAL)
DEPLOYMENTS = Resource("/apis/apps/v1", "deployments")
STATEFUL_SETS = Resource("/apis/apps/v1", "statefulsets")
CONTROLLER_REVISIONS = Resource("/apis/apps/v1", "controllerrevisions")
NAMESPACES = Resource("/api/v1", "namespaces")
REPLICA_SETS = Resource("/apis/apps/v1", "replicasets")
PODS = Resource("/api/v1", "pods")
EVENTS = Resource("/api/v1", "events")
NODES = Resource("/api/v1", "nodes")
CONFIG_MAPS = Resource("/api/v1", "configmaps")
SERVICE_ACCOUNTS = Resource("/api/v1", "serviceaccounts")
LEASES = Resource("/apis/coordination.k8s.io/v1", "leases")


def describe_request(method: str, path: str, *, watch: bool = False) -> tuple[str, str]:
    """Return a request's verb and resource as RBAC names them (for metrics: a closed set).

    >>> describe_request("PUT", GUARDED_DEPLOYMENTS.path("shop", "web", "status"))
    ('update', 'guardeddeployments/status')
    >>> describe_request("GET", PODS.path(), watch=True)
    ('watch', 'pods')
    """
    found = _PATH.fullmatch(path)
    if found is None:
        return method.lower(), "other"
    verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    reading = "get" if found["name"] else "list"
    verb = "watch" if watch else verbs.get(method, reading)
    return verb, found["plural"] + (f"/{found['sub']}" if found["sub"] else "")
