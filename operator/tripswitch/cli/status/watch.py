"""``status NAME --watch``: follows one object and what belongs to it until its rollout ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tripswitch.api.tolerant import field, read_text
from tripswitch.cli.clock import read_clock
from tripswitch.cli.problems import Exit, Problem
from tripswitch.cli.references import Reference
from tripswitch.cli.session import Session
from tripswitch.cli.status.mirror import Mirror, News, watching
from tripswitch.cli.status.screen import Screen
from tripswitch.cli.status.view import Outcome, View, build_view
from tripswitch.cli.subjects import WORKLOADS, Subject, find_subject, load_children
from tripswitch.cluster.reflector import Collection, Reflector
from tripswitch.cluster.resources import PODS, Resource

Start = Callable[[Resource, Mirror, str], None]
"""Begins to keep a mirror of the objects of a kind that a label selector matches."""


async def follow(session: Session, target: Reference, screen: Screen) -> View:
    """Show an object until its rollout has ended, and return the last view.

    Raises:
        Problem: It is not there, is deleted meanwhile, or may not be read.
    """
    subject = await find_subject(session, target)
    async with watching() as (news, run):

        def start(kind: Resource, mirror: Mirror, labels: str = "") -> None:
            run(Reflector(session.client, Collection(kind, session.namespace, labels), mirror))

        family = _Family(news, subject, start)
        with screen:
            while True:
                now = family.look()
                if now is None:
                    raise Problem(
                        f"{target} in namespace {session.namespace} was deleted", Exit.NOT_FOUND
                    )
                await family.load_children(session, now)
                news.forget()
                view = family.view(now)
                screen.show(view, news.note)
                if view.outcome is not Outcome.RUNNING:
                    return view
                await news.wait()


class _Family:
    """Mirrors of the object, of its workload, and, as soon as its selector is known, of the children."""

    def __init__(self, news: News, subject: Subject, start: Start) -> None:
        self._subject = subject
        self._start = start
        self._guarded = Mirror(news.tell, only=subject.name)
        self._guarded.upsert(subject.raw)
        start(subject.resource, self._guarded, "")
        ref: Mapping[str, Any] = field(subject.raw, "spec", "targetRef") or {}
        self._workload = Mirror(news.tell, only=read_text(ref.get("name")))
        if kind := WORKLOADS.get(read_text(ref.get("kind"))):
            if subject.workload is not None:
                self._workload.upsert(subject.workload)
            start(kind, self._workload, "")
        self._replica_sets, self._pods = Mirror(news.tell), Mirror(news.tell)
        self._selector = ""

    def look(self) -> Subject | None:
        """Return the object and its workload as they are now; None if it is gone."""
        raw = self._guarded.first
        if raw is None:
            return None
        return Subject(self._subject.resource, raw, self._workload.first)

    async def load_children(self, session: Session, subject: Subject) -> None:
        """List the children once, so that the first picture is complete, and watch them from then on."""
        if self._selector or not subject.selector:
            return
        self._selector = subject.selector
        listed = await load_children(session, subject)
        for found, mirror in zip(listed, (self._replica_sets, self._pods), strict=True):
            for raw in found:
                mirror.upsert(raw)
        if subject.revisions is not None:
            self._start(subject.revisions, self._replica_sets, self._selector)
        self._start(PODS, self._pods, self._selector)

    def view(self, subject: Subject) -> View:
        """Return the view of it all."""
        children = (self._replica_sets.found.values(), self._pods.found.values())
        return build_view(subject.raw, *children, read_clock(), subject.workload)
