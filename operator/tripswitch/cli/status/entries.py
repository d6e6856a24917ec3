"""Parts of a stored status as frozen values: the rollout, the breaker, the revisions. Pure.

Reading is tolerant: the status may be of an older or newer operator, or not there yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tripswitch.api.times import parse_instant
from tripswitch.api.tolerant import objects, read_int, read_text
from tripswitch.cli.status.holders import ReplicaSetLine
from tripswitch.domain.rules.image_names import has_digest, shorten_digest
from tripswitch.domain.values.hooks import HookStatus
from tripswitch.domain.values.time import Instant

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HookLine:
    """One entry of ``status.rollout.hooks`` that waits for an answer (K1)."""

    id: str
    stage: str
    timeout_action: str
    started_at: Instant | None
    expires_at: Instant | None


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """``status.rollout``."""

    status: str = ""
    kind: str = ""
    revision: int = 0
    failed_revision: int = 0
    message: str = ""
    started_at: Instant | None = None
    finished_at: Instant | None = None
    hooks: tuple[HookLine, ...] = ()
    """Those that wait for an answer."""


@dataclass(frozen=True, slots=True)
class BreakerLine:
    """``status.circuitBreaker``. ``failures`` are raw: they show every field that there is."""

    status: str = ""
    stage: str = ""
    count: int = 0
    threshold: int = 0
    failures: tuple[Raw, ...] = ()


@dataclass(frozen=True, slots=True)
class ImageLine:
    """One entry of ``containerImages``: what one container of a revision runs (rules D)."""

    container: str
    image: str
    digest: str
    reason: str


@dataclass(frozen=True, slots=True)
class RevisionLine:
    """One entry of ``status.revisions``; ``replica_set`` only where it still exists."""

    number: int
    state: str
    status: str
    images: tuple[str, ...]
    desired: int
    running: int
    healthy: int
    failures: int
    reason: str
    created_at: Instant | None
    finished_at: Instant | None
    completed_at: Instant | None
    replica_set_name: str
    replica_set: ReplicaSetLine | None = None
    container_images: tuple[ImageLine, ...] = ()

    @property
    def image_words(self) -> str:
        """The images, each with the digest that it stands for in this revision."""
        digests = {one.image: one.digest for one in self.container_images if one.digest}
        return ", ".join(
            f"{image} ({shorten_digest(digests[image])})"
            if image in digests and not has_digest(image)
            else image
            for image in self.images
        )


def read_rollout(raw: Raw) -> RolloutLine:
    """Return ``status.rollout``; of its hooks those that wait for an answer."""
    return RolloutLine(
        status=read_text(raw.get("status")),
        kind=read_text(raw.get("kind")),
        revision=read_int(raw.get("revision")),
        failed_revision=read_int(raw.get("failedRevision")),
        message=read_text(raw.get("message")),
        started_at=parse_instant(raw.get("startedAt")),
        finished_at=parse_instant(raw.get("finishedAt")),
        hooks=tuple(
            _read_hook(one)
            for one in objects(raw.get("hooks"))
            if one.get("status") == HookStatus.AWAITING_ACTION
        ),
    )


def _read_hook(raw: Raw) -> HookLine:
    return HookLine(
        id=read_text(raw.get("hookId")),
        stage=read_text(raw.get("lifecycleStage")),
        timeout_action=read_text(raw.get("timeoutAction")),
        started_at=parse_instant(raw.get("startedAt")),
        expires_at=parse_instant(raw.get("expiresAt")),
    )


def read_breaker(raw: Raw) -> BreakerLine:
    """Return ``status.circuitBreaker``."""
    return BreakerLine(
        status=read_text(raw.get("status")),
        stage=read_text(raw.get("stage")),
        count=read_int(raw.get("failureCount")),
        threshold=read_int(raw.get("threshold")),
        failures=tuple(objects(raw.get("failures"))),
    )


def read_revision(raw: Raw, replica_set: ReplicaSetLine | None) -> RevisionLine:
    """Return one entry of ``status.revisions``, with what holds its pods."""
    images = raw.get("images")
    return RevisionLine(
        number=read_int(raw.get("revision")),
        state=read_text(raw.get("rolloutState")),
        status=read_text(raw.get("status")),
        images=tuple(read_text(one) for one in images) if isinstance(images, list) else (),
        desired=read_int(raw.get("desired")),
        running=read_int(raw.get("running")),
        healthy=read_int(raw.get("healthy")),
        failures=read_int(raw.get("failedTasks")),
        reason=read_text(raw.get("reason")),
        created_at=parse_instant(raw.get("createdAt")),
        finished_at=parse_instant(raw.get("finishedAt")),
        completed_at=parse_instant(raw.get("completedAt")),
        replica_set_name=read_text(raw.get("replicaSet")),
        replica_set=replica_set,
        container_images=tuple(_read_image(one) for one in objects(raw.get("containerImages"))),
    )


def _read_image(raw: Raw) -> ImageLine:
    return ImageLine(
        container=read_text(raw.get("containerName")),
        image=read_text(raw.get("image")),
        digest=read_text(raw.get("imageDigest")),
        reason=read_text(raw.get("reason")),
    )
