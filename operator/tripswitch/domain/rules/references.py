"""Rule B9: which objects that a completed revision names are not there, and the words for it. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tripswitch.domain.rules.digests import is_missing
from tripswitch.domain.values.pods import PodView
from tripswitch.domain.values.references import (
    MissingReferences,
    ReferenceReading,
    References,
)


def find_missing(
    asked: References,
    config_maps: Collection[str] | None,
    service_accounts: Collection[str] | None,
) -> ReferenceReading:
    """Return which of the asked objects are not there; None: what there is could not be listed.

    >>> asked = References(("settings", "words"), ("web",))
    >>> find_missing(asked, {"words"}, None).missing
    References(config_maps=('settings',), service_accounts=())
    """
    return ReferenceReading(
        asked,
        References(
            _without(asked.config_maps, config_maps),
            _without(asked.service_accounts, service_accounts),
        ),
    )


def _without(names: tuple[str, ...], there: Collection[str] | None) -> tuple[str, ...]:
    return () if there is None else tuple(name for name in names if name not in there)


def describe_missing(missing: MissingReferences) -> str:
    """Return what is missing, and what to do, as one clause.

    >>> describe_missing(MissingReferences(3, ("settings",)))
    'ConfigMap settings does not exist: create it again'
    >>> describe_missing(MissingReferences(3, ("settings", "words"), ("web",)))
    'ConfigMaps settings, words and ServiceAccount web do not exist: create them again'
    """
    named = [
        _name(kind, names)
        for kind, names in (
            ("ConfigMap", missing.config_maps),
            ("ServiceAccount", missing.service_accounts),
        )
        if names
    ]
    several = len(missing.config_maps) + len(missing.service_accounts) > 1
    words = "do not exist: create them again" if several else "does not exist: create it again"
    return f"{' and '.join(named)} {words}"


def _name(kind: str, names: tuple[str, ...]) -> str:
    return f"{kind}{'s' if len(names) > 1 else ''} {', '.join(names)}"


def find_gone_images(pods: Iterable[PodView]) -> tuple[str, ...]:
    """Return the images that live pods wait for although their registry has said that it does not have them."""
    waited = {
        one.image
        for pod in pods
        for one in pod.containers
        if one.waiting is not None and pod.live and is_missing(one)
    }
    return tuple(sorted(waited))
