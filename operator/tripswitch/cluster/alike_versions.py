"""Which versions of an object are as good as its latest one, so that a write may name that one (W1).

A write names the version that was decided on, and the API server refuses it where there is a newer one. An object's
own controller writes its status all the time; what such a version changes is nothing that was decided on.
"""

from __future__ import annotations

from tripswitch.api.tolerant import read_decimal


class AlikeVersions:
    """For each object, by UID, the oldest version that is as good as the latest one."""

    def __init__(self) -> None:
        self._since: dict[str, int] = {}

    def add(self, uid: str, before: int) -> None:
        """Take note that ``before`` is as good as the version that has followed it."""
        self._since.setdefault(uid, before)

    def forget(self, uid: str) -> None:
        """Take note that no earlier version is as good as the latest one, or that it is gone."""
        self._since.pop(uid, None)

    def replace(self, looked_at: str, uid: str, latest: str) -> str:
        """Return the latest version if the one looked at is as good, else the one looked at."""
        since = self._since.get(uid)
        return latest if since is not None and since <= read_decimal(looked_at) else looked_at
