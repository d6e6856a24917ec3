"""Everything that the process knows about one object, in one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tripswitch.cluster.record import Record
from tripswitch.cluster.refusals import Refusal
from tripswitch.domain.values.alarms import NO_READING, AlarmReading
from tripswitch.domain.values.inquiry import Finding
from tripswitch.domain.values.references import ReferenceReading
from tripswitch.domain.values.sight import UNKNOWN, Sight
from tripswitch.domain.values.time import Instant

T = TypeVar("T")


@dataclass(slots=True)
class Tracked:
    """What is known of one object, apart from its children.

    The store makes one value for each UID and drops it with the object. It is the only place for facts about
    an object: what was learnt about a deleted object cannot reach another one of the same name.

    Attributes:
        record: Its latest version.
        refusal: What the API server said when it would not create a ReplicaSet.
        findings: What has been found out about its failures.
        no_retention_until: Until when no pod can be set aside; None: that was never refused.
        sight: How current the views of its pods are.
        alarms: The latest reading of its alarms.
        references: What was found of the objects that its revision for a rollback names; None: nothing yet.
        urgent: It is looked at before others: a pod shows a failure, a verdict is due, or a rollback runs.
        parts: What other classes remember of it (:class:`tripswitch.cluster.per_object.PerObject`).
    """

    record: Record
    refusal: Refusal = field(default_factory=Refusal)
    findings: tuple[Finding, ...] = ()
    no_retention_until: Instant | None = None
    sight: Sight = UNKNOWN
    alarms: AlarmReading = NO_READING
    references: ReferenceReading | None = None
    urgent: bool = False
    parts: dict[object, Any] = field(default_factory=dict)
    _parsed: tuple[int, Any] | None = None

    def parse(self, record: Record, read: Callable[[], T]) -> T:
        """Return what a version of the object says, read once.

        Raises:
            InvalidObjectError: ``read`` cannot understand the object.
        """
        if self._parsed is None or self._parsed[0] != record.version:
            self._parsed = (record.version, read())
        parsed: T = self._parsed[1]
        return parsed
