"""ConfigMaps and ServiceAccounts that pods need, and what the status may say of them (rule B9).

They are deleted and made again, as by a tool that prunes. Everything is drawn from a stream of its own, so that a
world without them is the same as before there were any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.sim.api import RefusedError
from tests.sim.gate import Later
from tests.sim.kubelet import Handle
from tests.sim.templates import document_of
from tripswitch.domain.values.references import References
from tripswitch.domain.values.time import Instant
from tripswitch.domain.values.workload import Template

CONFIG_MAPS, SERVICE_ACCOUNTS = PLURALS = ("configmaps", "serviceaccounts")

Listed = Mapping[str, frozenset[str] | None]
"""The names of each kind that was listed; None: the list did not come."""


@dataclass(slots=True)
class ReferencePlan:
    """What becomes of the objects that templates name.

    Attributes:
        every: Mean seconds between two deletions; 0: none is deleted before everybody has calmed down.
        longest: Seconds until a deleted one is made again.
        forbidden: The operator has no right to list them.
    """

    every: float
    longest: float
    forbidden: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a process asked for, and what the lists that it made for that had."""

    asked: References
    listed: Listed

    def find_missing(self) -> References:
        """Return what is known not to be there: a list that did not come is no evidence."""
        return References(
            tuple(self._without(self.asked.config_maps, CONFIG_MAPS)),
            tuple(self._without(self.asked.service_accounts, SERVICE_ACCOUNTS)),
        )

    def _without(self, names: Sequence[str], plural: str) -> Iterator[str]:
        there = self.listed.get(plural)
        for name in names:
            if there is not None and name not in there:
                yield name


class NamedObjects:
    """The ConfigMaps and ServiceAccounts of the namespace. ``clock`` is the true time."""

    def __init__(
        self,
        plan: ReferencePlan,
        templates: Sequence[Template],
        later: Later,
        rng: Random,
        clock: Callable[[], Instant],
    ) -> None:
        self._plan = plan
        self._later = later
        self._rng = rng
        self._clock = clock
        self._calm = False
        self._mounted: set[str] = set()
        self._all = {
            CONFIG_MAPS: {name for one in templates for name in one.references.config_maps},
            SERVICE_ACCOUNTS: {
                name for one in templates for name in one.references.service_accounts
            },
        }
        self._there = {plural: {"default", *names} for plural, names in self._all.items()}
        self._states: dict[str, list[tuple[Instant, frozenset[str]]]] = {
            plural: [(0.0, frozenset(names))] for plural, names in self._there.items()
        }
        self.count: Callable[[str], None] = lambda _: None

    @property
    def is_forbidden(self) -> bool:
        """Whether the operator has no right to list them."""
        return self._plan.forbidden

    def begin(self) -> None:
        """Have some be deleted from now on."""
        if self._plan.every:
            self._later(self._rng.expovariate(1 / self._plan.every), self._strike)

    def calm_down(self) -> None:
        """Everything is there, and stays."""
        self._calm = True
        self.restore()

    # What there is -------------------------------------------------------------------------------

    def delete(self, wanted: References) -> None:
        """Delete objects."""
        for plural, names in (
            (CONFIG_MAPS, wanted.config_maps),
            (SERVICE_ACCOUNTS, wanted.service_accounts),
        ):
            self._change(plural, self._there[plural] - set(names))

    def restore(self) -> None:
        """Make everything again that was deleted."""
        for plural, names in self._all.items():
            self._change(plural, self._there[plural] | names)

    def list_names(self, plural: str) -> list[str]:
        """Return what a list has.

        Raises:
            RefusedError: The operator may not.
        """
        if self._plan.forbidden:
            raise RefusedError(f"{plural} is forbidden")
        self.count("lists of what templates name")
        return sorted(self._there[plural])

    def find_missing(self, wanted: References) -> References:
        """Return which of these are not there."""
        listed = {plural: frozenset(names) for plural, names in self._there.items()}
        return Lookup(wanted, listed).find_missing()

    def was_so(self, plural: str, names: Collection[str], began: Instant) -> bool:
        """Return whether exactly these objects were there at some moment since ``began``."""
        states = self._states[plural]
        ends = [at for at, _ in states[1:]] + [self._clock()]
        told = frozenset(names)
        return any(
            there == told and end >= began for (_, there), end in zip(states, ends, strict=True)
        )

    # Pods ----------------------------------------------------------------------------------------

    def refuses(self, template: Template) -> str:
        """Return why the API server takes no pod of a template; empty if it does."""
        there = self._there[SERVICE_ACCOUNTS]
        gone = [name for name in template.references.service_accounts if name not in there]
        if not gone:
            return ""
        self.count("pods refused without their ServiceAccount")
        return f'pods is forbidden: error looking up service account shop/{gone[0]}: "{gone[0]}" not found'

    def holds_up(self, handle: Handle, again: Callable[[], None]) -> bool:
        """Return whether a pod waits for a ConfigMap; ``again`` is called when it is tried again.

        A pod that has its volumes, or the environment of its first container, keeps them.
        """
        pod = handle.pod
        if not pod.node or not handle.pulls or handle.uid in self._mounted:
            return False
        there = self._there[CONFIG_MAPS]
        gone = [name for name in pod.template.references.config_maps if name not in there]
        if not gone:
            self._mounted.add(handle.uid)
            return False
        self.count("pods that waited for a ConfigMap")
        if "volumes" not in document_of(pod.template)["spec"]:
            words = f'configmap "{gone[0]}" not found'
            handle.wait(pod.containers[0].name, "CreateContainerConfigError", words)
        self._later(self._rng.uniform(2, 30), again)
        return True

    # What happens --------------------------------------------------------------------------------

    def _strike(self) -> None:
        if self._calm:
            return
        self._later(self._rng.expovariate(1 / self._plan.every), self._strike)
        known = [plural for plural in PLURALS if self._all[plural]]
        if not known:
            return
        plural = self._rng.choice(known)
        name = self._rng.choice(sorted(self._all[plural]))
        self.count("ConfigMaps and ServiceAccounts deleted")
        self._change(plural, self._there[plural] - {name})
        self._later(
            self._rng.uniform(5, self._plan.longest),
            lambda: self._change(plural, self._there[plural] | {name}),
        )

    def _change(self, plural: str, names: set[str]) -> None:
        if names != self._there[plural]:
            self._there[plural] = names
            self._states[plural].append((self._clock(), frozenset(names)))
