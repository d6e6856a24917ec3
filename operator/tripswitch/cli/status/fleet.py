"""``status`` without a name: everything that is guarded in a namespace or in the cluster."""

from __future__ import annotations

import click

from tripswitch.cli.clock import read_clock
from tripswitch.cli.problems import Exit, Problem
from tripswitch.cli.session import Object, Session
from tripswitch.cli.status.mirror import Mirror, watching
from tripswitch.cli.status.screen import Screen
from tripswitch.cli.status.table import sort_worst_first
from tripswitch.cli.status.view import View, build_view
from tripswitch.cluster.reflector import Collection, Reflector
from tripswitch.cluster.resources import CIRCUIT_BREAKERS, GUARDED_DEPLOYMENTS, Resource

KINDS = (GUARDED_DEPLOYMENTS, CIRCUIT_BREAKERS)


async def load_fleet(session: Session, *, everywhere: bool) -> list[View]:
    """Return GuardedDeployments and guarded workloads, what needs attention first.

    Raises:
        Problem: They may not be listed, or Tripswitch is not installed.
    """
    lists = await _list(session, everywhere=everywhere)
    found = [one for listed in lists.values() for one in listed]
    if not found:
        where = "any namespace" if everywhere else f"namespace {session.namespace}"
        click.echo(f"nothing is guarded in {where}", err=True)
    return _build(found)


async def follow_fleet(session: Session, screen: Screen, *, everywhere: bool) -> None:
    """Show them until cancelled.

    Raises:
        Problem: They may not be listed, or Tripswitch is not installed.
    """
    namespace = None if everywhere else session.namespace
    lists = await _list(session, everywhere=everywhere)
    async with watching() as (news, start):
        mirrors = [Mirror(news.tell) for _ in lists]
        for mirror, (kind, listed) in zip(mirrors, lists.items(), strict=True):
            for raw in listed:
                mirror.upsert(raw)
            start(Reflector(session.client, Collection(kind, namespace), mirror))
        with screen:
            while True:
                news.forget()
                found = [raw for mirror in mirrors for raw in mirror.found.values()]
                screen.show(_build(found), news.note)
                await news.wait()


async def _list(session: Session, *, everywhere: bool) -> dict[Resource, list[Object]]:
    """Return what there is by kind, without a kind whose CRD is not installed, if the other one is."""
    lists: dict[Resource, list[Object]] = {}
    missing: Problem | None = None
    for kind in KINDS:
        try:
            lists[kind] = await session.list_all(kind, everywhere=everywhere)
        except Problem as problem:
            if problem.code is not Exit.NOT_FOUND:
                raise
            missing = problem
    if missing is not None and not lists:
        raise missing
    return lists


def _build(found: list[Object]) -> list[View]:
    now = read_clock()
    return sort_worst_first([build_view(one, (), (), now) for one in found])
