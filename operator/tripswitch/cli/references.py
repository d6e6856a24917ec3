"""How a command line names what it is about: ``web``, ``gdeploy/web``, ``deploy/web``, ``sts/db``, ``dcb/web``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from tripswitch.api.tolerant import field, read_text


class Kind(StrEnum):
    """The kinds that a command can be about, by the short names that kubectl has for them."""

    GUARDED = "gdeploy"
    BREAKER = "dcb"
    DEPLOYMENT = "deploy"
    STATEFUL_SET = "sts"


@dataclass(frozen=True, slots=True)
class Reference:
    """One object by kind and name."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        """Return it as kubectl takes it.

        >>> str(Reference(Kind.DEPLOYMENT, "web"))
        'deploy/web'
        """
        return f"{self.kind}/{self.name}"


def _spell(kind: Kind, singular: str, group: str, version: str) -> dict[str, Kind]:
    names = (kind.value, singular, f"{singular}s", f"{singular}.{group}", f"{singular}s.{group}")
    return dict.fromkeys((*names, f"{singular}s.{version}.{group}"), kind)


SPELLINGS = {
    **_spell(Kind.GUARDED, "guardeddeployment", "tripswitch.dev", "v1alpha1"),
    **_spell(Kind.BREAKER, "deploymentcircuitbreaker", "tripswitch.dev", "v1alpha1"),
    **_spell(Kind.DEPLOYMENT, "deployment", "apps", "v1"),
    **_spell(Kind.STATEFUL_SET, "statefulset", "apps", "v1"),
}
"""Every way in which kubectl itself writes these kinds, in small letters."""


class UnknownReferenceError(ValueError):
    """A name that cannot be read; the message says what to write instead."""


def parse_reference(value: str) -> Reference:
    """Return what a word of the command line names; a bare name is a GuardedDeployment's.

    >>> parse_reference("web")
    Reference(kind=<Kind.GUARDED: 'gdeploy'>, name='web')
    >>> parse_reference("StatefulSet.apps/db")
    Reference(kind=<Kind.STATEFUL_SET: 'sts'>, name='db')

    Raises:
        UnknownReferenceError: It names no kind that is known here, or nothing.
    """
    kind, slash, name = value.rpartition("/")
    if slash and kind.lower() not in SPELLINGS:
        raise UnknownReferenceError(
            f"{kind!r} is not a kind that Tripswitch works on; write gdeploy/{name}, deploy/{name}, "
            f"sts/{name} or dcb/{name}"
        )
    if not name:
        raise UnknownReferenceError("the name is empty")
    return Reference(SPELLINGS[kind.lower()] if slash else Kind.GUARDED, name)


def refer_to(guarded: object) -> Reference:
    """Return what an object is called: a breaker by the workload that it guards.

    >>> str(refer_to({"spec": {"targetRef": {"kind": "StatefulSet", "name": "db"}}}))
    'sts/db'
    """
    kind, name = (read_text(field(guarded, "spec", "targetRef", key)) for key in ("kind", "name"))
    if kind.lower() in SPELLINGS:
        return Reference(SPELLINGS[kind.lower()], name)
    return Reference(Kind.GUARDED, read_text(field(guarded, "metadata", "name")))
