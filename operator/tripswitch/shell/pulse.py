"""Asks the API server something small all the time, so that an outage is known (rule V2).

An operator with a Lease renews it every few seconds anyway. Without one it may ask nothing for minutes, and
an outage that begins and ends meanwhile would go unnoticed: pods that could not report would look late.
"""

from __future__ import annotations

import asyncio
import logging

from tripswitch.cluster.client import METADATA_ONLY, Client
from tripswitch.cluster.errors import ApiError
from tripswitch.cluster.resources import GUARDED_DEPLOYMENTS

logger = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
"""The time between an answer and the next question."""


class Pulse:
    """Run :meth:`run` as a task. What the answers mean is for the client's own listener.

    Args:
        client: For the questions.
        namespace: In which something may be listed; None means all.
        every: Seconds between two questions.
    """

    def __init__(
        self, client: Client, namespace: str | None = None, every: float = EVERY_SECONDS
    ) -> None:
        self._client = client
        self._path = GUARDED_DEPLOYMENTS.path(namespace)
        self._every = every

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                # Without a resourceVersion: the server has to ask its storage.
                query = {"limit": "1"}
                await self._client.request("GET", self._path, query=query, accept=METADATA_ONLY)
            except ApiError as error:
                logger.debug("the API server did not answer: %s", error)
