"""All there is of kopf: its settings, and one handler that hands raw objects on.

``on.event`` writes nothing to the cluster, and nothing else is registered. So there is no annotation
and no finalizer of kopf's on any object, and nothing of ours depends on its memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import kopf

from tripswitch.cluster.credentials import Connection
from tripswitch.cluster.resources import GROUP, GUARDED_DEPLOYMENTS, VERSION

Seen = Callable[[str | None, Mapping[str, Any]], None]
"""Called with the type of a watch event (None: it was listed) and the raw object."""


class NoDiffBase(kopf.DiffBaseStorage):
    """Keeps nothing of an object: there is no handler that asks what changed."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return the same for every object, so that none is copied and compared."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        """Return nothing."""
        return None

    def store(self, **_: Any) -> None:
        """Write nothing."""


def build_settings() -> kopf.OperatorSettings:
    """Return settings that make kopf a watcher and nothing more."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.watching.server_timeout = 300
    settings.watching.connect_timeout = 20
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 30
    # Back within 5 s when the API server is; after 5 minutes of errors the process starts anew.
    settings.networking.error_backoffs = (1, 1, 2, 3, *[5] * 60)
    settings.networking.trust_env = True  # as our own client does
    settings.queueing.idle_timeout = 1
    settings.process.ultimate_exiting_timeout = 60
    return settings


def build_registry(
    seen: Seen, connect: Callable[[], Awaitable[Connection]]
) -> kopf.OperatorRegistry:
    """Return the registry with everything that kopf is to do.

    Args:
        seen: Where GuardedDeployments go.
        connect: Gives the credentials, again each time they are no longer good.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        found = await connect()
        scheme, _separator, token = (found.authorization or "").rpartition(" ")
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_path,
            insecure=found.insecure,
            certificate_path=found.certificate_path,
            private_key_path=found.private_key_path,
            scheme=scheme or None,
            token=token or None,
            trust_env=True,
        )

    @kopf.on.event(GROUP, VERSION, GUARDED_DEPLOYMENTS.plural, registry=registry)
    async def guarded_deployment_event(event: kopf.RawEvent, **_: Any) -> None:
        seen(event["type"], event["object"])

    return registry
