"""Trouble with registries (rules F8 and F9): frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class PullError(StrEnum):
    """Why a pull failed, as far as its message tells; the values are for sentences about a registry."""

    NOT_THERE = "does not have the image"
    THROTTLED = "throttles pulls"
    SERVER_ERROR = "answers with server errors"
    CERTIFICATE = "has no TLS certificate that the node trusts"
    NO_SUCH_HOST = "has no address in DNS"
    UNREACHABLE = "cannot be reached"
    NO_SPACE = "sends more than the node has room for"
    DENIED = "denies access"
    OTHER = "fails"


@dataclass(frozen=True, slots=True)
class PullTrouble:
    """One kind of trouble with one registry."""

    registry: str
    error: PullError


@dataclass(frozen=True, slots=True)
class Troubles:
    """What the pods of one workload wait for.

    ``proved``: how many pods of *completed* revisions wait because of each trouble; their revisions have
    pulled before. ``all``: the troubles of pods of any revision.
    """

    proved: Mapping[PullTrouble, int] = field(default_factory=dict)
    all: frozenset[PullTrouble] = frozenset()


NO_TROUBLES = Troubles()


@dataclass(frozen=True, slots=True)
class RegistryOutage:
    """F9: a trouble that pods of completed revisions have, of all workloads that the operator sees."""

    trouble: PullTrouble
    pods: int
    workloads: int
