"""What follows a written decision in the background: nothing in here is ever waited for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tripswitch.cluster.evidence import Collector
from tripswitch.cluster.notify import Notifier
from tripswitch.cluster.store import Record
from tripswitch.cluster.verification import Verifier
from tripswitch.domain.decision import Decision
from tripswitch.domain.evidence import Finding


@dataclass(frozen=True, slots=True)
class Aftermath:
    """Those who go on from a decision once it is written."""

    collector: Collector
    verifier: Verifier
    notifier: Notifier | None = None

    def begin(self, record: Record, decision: Decision, written: Collection[Finding] = ()) -> None:
        """Start what cannot be had later: a pod that is scaled away takes its log with it.

        ``written``: the findings that the decision had, none while it is still to be written.
        """
        self.verifier.ask(record, decision.check)
        self.collector.ask(record, decision.inquiries, written)

    def tell(self, record: Record, decision: Decision) -> None:
        """Tell the world outside."""
        if self.notifier is not None:
            self.notifier.tell(record, decision)
