"""What a pod template names in its namespace, and what of it is not there (rule B9): frozen values.

Secrets are left out on purpose: a right to list them is a right to read them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class References:
    """Objects without which no pod of a template starts, by name and in order.

    References with ``optional: true`` are not among them, and neither is the ServiceAccount ``default``, which
    the control plane makes again.
    """

    config_maps: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()


NO_REFERENCES = References()


@dataclass(frozen=True, slots=True)
class ReferenceQuestion:
    """What a decision wants to know; asked as long as the revision may be rolled back to.

    ``urgent``: a rollout goes on, which may end in a rollback soon. ``told``: the status says that some of
    them are missing.
    """

    references: References
    urgent: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True)
class ReferenceReading:
    """The latest answer: which of ``asked`` are not there.

    What could not be listed is not among ``missing``: it is not known whether it is there.
    """

    asked: References
    missing: References = NO_REFERENCES


@dataclass(frozen=True, slots=True)
class MissingReferences:
    """``status.missingReferences``: what ``revision`` names and its namespace does not have."""

    revision: int
    config_maps: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
