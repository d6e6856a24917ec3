"""A simulated image registry, and what nodes have of it (rules D, F8 and F9).

Tags are pushed again, digests are deleted, the registry is away or denies access for a while. Neighbours are
other workloads, of which only the operator's board of registries hears (F9). Everything is drawn from a stream of its
own, so that a world without a registry is the same as before there was one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from random import Random
from types import MappingProxyType

from tests.sim.gate import Later
from tests.sim.kubelet import BACK_OFFS, Handle
from tests.sim.objects import RawPod
from tripswitch.domain.values.pods import ContainerRole, ContainerView
from tripswitch.domain.values.registries import NO_TROUBLES, PullError, PullTrouble, Troubles
from tripswitch.domain.values.workload import Template

REGISTRY = "docker.io"
"""What all images of the simulated templates come from."""
NOT_THERE = "not found"
WORDS: MappingProxyType[PullError, str] = MappingProxyType(
    {
        PullError.THROTTLED: "unexpected status code: 429 Too Many Requests",
        PullError.SERVER_ERROR: "unexpected status code: 503 Service Unavailable",
        PullError.UNREACHABLE: "dial tcp 192.0.2.1:443: i/o timeout",
        PullError.NO_SUCH_HOST: "dial tcp: lookup registry-1.docker.io: no such host",
        PullError.DENIED: "unexpected status code: 401 Unauthorized",
    }
)
"""How a node tells of each trouble with a registry."""
IN_TROUBLE = (PullError.THROTTLED, PullError.SERVER_ERROR, PullError.UNREACHABLE)
"""What never counts (F8)."""

Ways = tuple[str, ...]


@dataclass(slots=True)
class ImagePlan:
    """What the registry and the nodes are like. Rates are mean seconds between two events; 0 means never.

    Attributes:
        always: The pull policy is Always; else nodes keep what they have.
        local: Containers whose images come from no registry.
        foreign: Probability that a node names another repository (D2).
        harmless: Every image that is pushed is good, and none is deleted.
        ways: How pods of images that are pushed again may behave.
    """

    always: bool = False
    local: frozenset[str] = frozenset()
    foreign: float = 0.0
    push_every: float = 0.0
    delete_every: float = 0.0
    away_every: float = 0.0
    harmless: bool = False
    ways: tuple[Ways, ...] = (("good",),)


@dataclass(slots=True)
class _Node:
    images: dict[str, str] = field(default_factory=dict)
    """The digest of each image that was pulled."""

    def has(self, image: str) -> bool:
        return image in self.images or image.partition("@")[2] in self.images.values()


class Images:
    """The registry and the nodes' own images."""

    def __init__(
        self, plan: ImagePlan, templates: Sequence[Template], later: Later, rng: Random
    ) -> None:
        self._plan = plan
        self._later = later
        self._rng = rng
        self._nodes: dict[str, _Node] = defaultdict(_Node)
        self._pushes = 0
        self._tags: dict[str, str] = {}
        self._gone: set[str] = set()
        self._ways: dict[str, Ways] = {}
        self._pulled: set[tuple[str, str]] = set()
        self._tries: dict[tuple[str, str], int] = defaultdict(int)
        self._away: PullError | None = None
        self._calm = False
        self.ran: dict[tuple[str, str], set[str]] = defaultdict(set)
        """The digests that pods of a template really ran, by its digest and the container."""
        self.neighbours: Troubles = NO_TROUBLES
        """What pods of completed revisions of other workloads wait for."""
        self.changed: Callable[[], None] = lambda: None
        """Called when that has changed."""
        self.count: Callable[[str], None] = lambda _: None
        for template in templates:
            for one in template.containers:
                if one.container not in plan.local:
                    self._push(one.image)

    def begin(self) -> None:
        """Have things happen from now on."""
        plan = self._plan
        self._every(plan.push_every, self._push_again)
        self._every(plan.delete_every, self._delete)
        self._every(plan.away_every, self._go_away)

    def calm_down(self) -> None:
        """Nothing is pushed or deleted any more, and everything that is there can be pulled."""
        self._calm, self._away = True, None
        self._ways.clear()
        self._suffer(NO_TROUBLES)

    def ways_of(self, pod: RawPod) -> Ways | None:
        """Return how the pods of an image behave, if not as its template's do."""
        name = pod.containers[-1].name
        return self._ways.get(self._resolve("", image_of(pod.template, pod.containers, name)))

    # Nodes ---------------------------------------------------------------------------------------

    def holds_up(self, handle: Handle, again: Callable[[], None]) -> bool:
        """Return whether a pod has to wait for an image; ``again`` is called when it is tried again."""
        pod = handle.pod
        if not pod.node or not handle.pulls:
            return False
        for one in self._list_due(pod):
            image = image_of(pod.template, pod.containers, one.name)
            problem = self._find_problem(pod.node, one.name, image)
            if problem:
                self._fail(handle, one.name, image, problem, again)
                return True
            self._pulled.add((pod.uid, one.name))
            self._nodes[pod.node].images[image] = self._resolve(pod.node, image)
        return False

    def identify(self, pod: RawPod, name: str) -> str:
        """Return the ``imageID`` of a container that begins to run."""
        image = image_of(pod.template, pod.containers, name)
        if name in self._plan.local:
            return f"sha256:{sha256(image.encode()).hexdigest()}"
        digest = self._resolve(pod.node, image)
        if self._rng.random() < self._plan.foreign:
            return f"{REGISTRY}/mirror/{name}@{make_digest('mirror', digest)}"
        self.ran[pod.template.digest, name].add(digest)
        return f"{REGISTRY}/library/{name}@{digest}"

    def _list_due(self, pod: RawPod) -> Iterator[ContainerView]:
        """The containers whose images the kubelet pulls now: init containers one after the other."""
        for one in pod.containers:
            if (pod.uid, one.name) not in self._pulled:
                yield one
            if one.role is ContainerRole.INIT and (one.ended is None or one.ended.exit_code):
                return

    def _resolve(self, node: str, image: str) -> str:
        _, _, digest = image.partition("@")
        if digest:
            return digest
        kept = None if self._plan.always else self._nodes[node].images.get(image)
        return kept or self._tags.get(image, "")

    def _find_problem(self, node: str, container: str, image: str) -> str:
        if container in self._plan.local or (
            not self._plan.always and self._nodes[node].has(image)
        ):
            return ""
        if self._away is not None:
            return f'failed to pull image "{image}": {WORDS[self._away]}'
        digest = self._resolve("", image)
        if digest in self._gone:
            return f'failed to resolve reference "{image}": {image}: {NOT_THERE}'
        return ""

    def _fail(
        self, handle: Handle, name: str, image: str, problem: str, again: Callable[[], None]
    ) -> None:
        key = handle.uid, name
        self._tries[key] += 1
        handle.wait(name, "ErrImagePull", problem)
        self.count("pulls that failed")
        words = f'Back-off pulling image "{image}": ErrImagePull: {problem}'
        seconds = self._rng.uniform(1, 10)

        def back_off() -> None:
            if handle.alive and key not in self._pulled and not handle.pod.by_node:
                handle.wait(name, "ImagePullBackOff", words)

        self._later(seconds, back_off)
        wait = BACK_OFFS[min(self._tries[key], len(BACK_OFFS)) - 1] + self._rng.uniform(0, 2)
        self._later(seconds + wait, again)

    # What happens to the registry ----------------------------------------------------------------

    def _push(self, image: str) -> str:
        self._pushes += 1
        digest = self._tags[image] = make_digest(image, str(self._pushes))
        return digest

    def _push_again(self) -> None:
        """Somebody pushes another image under a tag that there is already."""
        digest = self._push(self._rng.choice(sorted(self._tags)))
        if self._rng.random() < 0.6:
            self._ways[digest] = self._rng.choice(self._plan.ways)
        self.count("tags pushed again")

    def _delete(self) -> None:
        """A digest is deleted, and with it the tag if there is one."""
        tagged = set(self._tags.values())
        known = {digest for digests in self.ran.values() for digest in digests} | tagged
        left = sorted(known - self._gone - (tagged if self._rng.random() < 0.4 else set()))
        if left:
            self._gone.add(self._rng.choice(left))
            self.count("digests deleted")

    def _go_away(self) -> None:
        """The registry is in trouble for a while, and so are its other users, or only we."""
        if self._away is not None or self.neighbours != NO_TROUBLES:
            return
        error = self._away = self._rng.choice(tuple(WORDS))
        self.count("registry outages")
        # Longer ones, and the back-off after them, are for the progress deadline (P1).
        seconds = self._rng.uniform(20, 120 if self._plan.harmless else 400)
        self._later(seconds, self._come_back)
        shared = self._plan.harmless or self._rng.random() < 0.6
        if shared:
            trouble = PullTrouble(REGISTRY, error)
            suffers = Troubles({trouble: 2}, frozenset({trouble}))
            if self._plan.harmless:
                self._suffer(suffers)
            else:
                self._later(self._rng.uniform(0, 30), lambda: self._suffer(suffers))
            # The back-off of other workloads' pods is as long as that of ours.
            self._later(seconds + self._rng.uniform(30, 310), lambda: self._suffer(NO_TROUBLES))

    def _come_back(self) -> None:
        self._away = None

    def _suffer(self, troubles: Troubles) -> None:
        if not self._calm or troubles == NO_TROUBLES:
            self.neighbours = troubles
            self.changed()

    def _every(self, mean: float, deed: Callable[[], None]) -> None:
        if not mean:
            return

        def again() -> None:
            if not self._calm:
                deed()
                self._later(self._rng.expovariate(1 / mean), again)

        self._later(self._rng.expovariate(1 / mean), again)


def image_of(template: Template, containers: Sequence[ContainerView], name: str) -> str:
    """Return the image of a pod's container: what its ReplicaSet is pinned to, or the template's."""
    own = next((one.image for one in containers if one.name == name), "")
    return own or next(one.image for one in template.containers if one.container == name)


def make_digest(*words: str) -> str:
    """Return a digest.

    >>> len(make_digest("web:1"))
    71
    """
    return f"sha256:{sha256(' '.join(words).encode()).hexdigest()}"


def find_error(message: str) -> PullError | None:
    """Return which trouble with a registry a node tells of.

    >>> find_error('Back-off pulling image "web:1": ErrImagePull: dial tcp 192.0.2.1:443: i/o timeout').name
    'UNREACHABLE'
    """
    return next((error for error, words in WORDS.items() if message.endswith(words)), None)
