"""What becomes of a pod: one generator for each way; it yields the seconds until the next thing.

The names are those of the behaviours in :data:`SCRIPTS`. Each begins once the pod is made, and is stopped
when the pod ends or is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from types import MappingProxyType

from tests.sim.kubelet import BACK_OFFS, Handle
from tripswitch.domain.values.pods import ContainerRole, Ended

Steps = Iterator[float]
Script = Callable[[Handle, Random], Steps]

APP = ContainerRole.APP
MAIN = "web"


def start(pod: Handle, rng: Random, *, main: bool = True) -> Steps:
    """Schedule a pod and bring its containers up, the main one too if asked."""
    yield rng.uniform(0.01, 0.5)
    pod.schedule(f"node-{rng.randrange(3)}")
    yield rng.uniform(0.1, 2.0)
    setup = pod.first(ContainerRole.INIT)
    if setup is not None:
        pod.run(setup.name)
        yield rng.uniform(0.1, 2.0)
        pod.end(setup.name, Ended(0, "Completed"))
    yield from _start_lasting(pod, rng, main=main)


def _start_lasting(pod: Handle, rng: Random, *, main: bool) -> Steps:
    for one in pod.pod.containers:
        if one.role is not ContainerRole.INIT and (main or one.name != MAIN):
            yield rng.uniform(0.05, 0.8)
            pod.run(one.name)


def good(pod: Handle, rng: Random) -> Steps:
    """Becomes Ready and stays so."""
    yield from start(pod, rng)
    yield rng.uniform(0.01, 8.0)
    pod.set_ready(ready=True)


def slow(pod: Handle, rng: Random) -> Steps:
    """Good, behind a startup probe."""
    yield from start(pod, rng, main=False)
    yield 0.5
    pod.run(MAIN, started=False)
    yield rng.uniform(5, 60)
    pod.start(MAIN)
    yield rng.uniform(0.01, 3.0)
    pod.set_ready(ready=True)


def resized(pod: Handle, rng: Random) -> Steps:
    """Good, and given other resources in place now and then, for which the kubelet restarts it."""
    yield from good(pod, rng)
    for _ in range(1_000):
        yield rng.uniform(5, 200)
        pod.resize(MAIN)
        yield rng.uniform(0.1, 1.0)
        pod.run(MAIN)
        yield rng.uniform(0.1, 3.0)
        pod.set_ready(ready=True)


def restarts_all(pod: Handle, rng: Random) -> Steps:
    """Good, after it has once asked for all of its containers to be restarted."""
    yield from start(pod, rng)
    yield rng.uniform(0.1, 6.0)
    pod.restart_all(MAIN, Ended(88, "Error"))
    yield rng.uniform(0.1, 1.0)
    yield from _come_up(pod, rng)


def unhurried(pod: Handle, rng: Random) -> Steps:
    """Good, and takes its time to become Ready, within what F4 allows."""
    yield from start(pod, rng)
    yield rng.uniform(10, 45)
    pod.set_ready(ready=True)


def at_the_last_moment(pod: Handle, rng: Random) -> Steps:
    """Good, and Ready a few seconds before F4 would call it late."""
    yield from start(pod, rng)
    yield rng.uniform(57.0, 59.0)
    pod.set_ready(ready=True)


def slow_pull(pod: Handle, rng: Random) -> Steps:
    """Its image is not there yet at the first pull; the second one takes minutes, and is well."""
    yield from start(pod, rng, main=False)
    pod.wait(MAIN, "ErrImagePull", "not found")
    yield rng.uniform(1, 5)
    pod.wait(MAIN, "ImagePullBackOff", "back-off pulling image")
    yield rng.uniform(100, 300)
    pod.run(MAIN)
    yield rng.uniform(1, 5)
    pod.set_ready(ready=True)


def _loop(pod: Handle, rng: Random, name: str, end: Ended, *, ready: bool) -> Steps:
    """Crash for ever: the first restart at once, then with the kubelet's back-off."""
    for number in range(1_000):
        yield rng.uniform(0.05, 0.9)
        if ready and rng.random() < 0.7:
            pod.set_ready(ready=True)
            yield rng.uniform(0.05, 1.0)
        pod.end(name, end)
        yield rng.uniform(0.05, 1.0)
        if number:
            pod.back_off(name)
            yield BACK_OFFS[min(number, len(BACK_OFFS)) - 1] + rng.uniform(0, 2)
        pod.run(name)


def crash(pod: Handle, rng: Random) -> Steps:
    """Dies soon after each start; without a probe it is Ready for a moment each time."""
    yield from start(pod, rng)
    yield from _loop(pod, rng, MAIN, Ended(rng.choice((1, 2, 78)), "Error"), ready=True)


def oom(pod: Handle, rng: Random) -> Steps:
    """Is killed for its memory, never Ready."""
    yield from start(pod, rng)
    yield from _loop(pod, rng, MAIN, Ended(137, "OOMKilled", 9), ready=False)


def finish(pod: Handle, rng: Random) -> Steps:
    """Ends with 0 though it should go on."""
    yield from start(pod, rng)
    yield from _loop(pod, rng, MAIN, Ended(0, "Completed"), ready=True)


def start_error(pod: Handle, rng: Random) -> Steps:
    """Its command cannot be started: never runs, every try is an ended run."""
    yield from start(pod, rng, main=False)
    for number in range(1_000):
        pod.fail_to_start(MAIN, Ended(128, "StartError"), "RunContainerError")
        yield rng.uniform(0.5, 1.5)
        if number:
            pod.back_off(MAIN)
            yield BACK_OFFS[min(number, len(BACK_OFFS)) - 1] + rng.uniform(0, 2)


def image(pod: Handle, rng: Random) -> Steps:
    """The image cannot be pulled; in one of four pods it can later on."""
    yield from start(pod, rng, main=False)
    recovers = rng.random() < 0.25
    for number in range(1, 1_000):
        pod.wait(MAIN, "ErrImagePull", "not found")
        yield rng.uniform(1, 15)
        pod.wait(MAIN, "ImagePullBackOff", "back-off pulling image")
        yield BACK_OFFS[min(number, len(BACK_OFFS)) - 1] + rng.uniform(0, 2)
        if recovers and number > 3:
            pod.wait(MAIN, "ContainerCreating")
            yield 1.0
            pod.run(MAIN)
            yield 2.0
            pod.set_ready(ready=True)
            return


def config(pod: Handle, rng: Random) -> Steps:
    """A ConfigMap is missing; sometimes it is only the kubelet's cache that is late."""
    yield from start(pod, rng, main=False)
    for _ in range(1_000):
        late = rng.random() < 0.2
        words = "failed to sync configmap cache: timed out" if late else "configmap not found"
        pod.wait(MAIN, "CreateContainerConfigError", words)
        yield rng.uniform(2, 30)
        if rng.random() < 0.2:
            pod.wait(MAIN, "ContainerCreating")
            yield rng.uniform(1, 5)


def setup_fails(pod: Handle, rng: Random) -> Steps:
    """Its init container fails, for ever or a few times."""
    yield rng.uniform(0.01, 0.5)
    pod.schedule("node-0")
    setup = pod.first(ContainerRole.INIT)
    yield 0.5
    if setup is None:
        yield from _start_lasting(pod, rng, main=True)
        return
    fails = rng.choice((1, 2, 3, 1_000))
    pod.run(setup.name)
    for number in range(fails):
        yield rng.uniform(0.05, 1.0)
        pod.end(setup.name, Ended(1, "Error"))
        yield rng.uniform(0.05, 1.0)
        if number:
            pod.back_off(setup.name)
            yield BACK_OFFS[min(number, len(BACK_OFFS)) - 1] + rng.uniform(0, 2)
        pod.run(setup.name)
    yield 0.3
    pod.end(setup.name, Ended(0, "Completed"))
    yield from _start_lasting(pod, rng, main=True)
    yield 1.0
    pod.set_ready(ready=True)


def unready(pod: Handle, rng: Random) -> Steps:
    """Runs and never is Ready."""
    yield from start(pod, rng)


def lost(pod: Handle, rng: Random) -> Steps:
    """Is Ready for a while and then no more; in one of three pods it comes back."""
    yield from good(pod, rng)
    yield rng.uniform(3, 120)
    pod.set_ready(ready=False)
    if rng.random() < 0.33:
        yield rng.uniform(1, 90)
        pod.set_ready(ready=True)


def flapping(pod: Handle, rng: Random) -> Steps:
    """Is Ready and not, for ever."""
    yield from good(pod, rng)
    for number in range(1_000):
        yield rng.uniform(1, 90)
        pod.set_ready(ready=bool(number % 2))


def late(pod: Handle, rng: Random) -> Steps:
    """Healthy for a while, then it crashes again and again."""
    yield from good(pod, rng)
    yield rng.uniform(20, 200)
    yield from _loop(pod, rng, MAIN, Ended(1, "Error"), ready=True)


def leaking(pod: Handle, rng: Random) -> Steps:
    """Healthy for a minute or two, then it is restarted: a fleet of it never ends in ECS."""
    yield from good(pod, rng)
    for _ in range(1_000):
        yield rng.uniform(45, 150)
        pod.end(MAIN, Ended(137, "OOMKilled", 9))
        yield rng.uniform(0.1, 1.0)
        pod.run(MAIN)
        yield rng.uniform(0.1, 3.0)
        pod.set_ready(ready=True)


def unschedulable(pod: Handle, rng: Random) -> Steps:
    """No node has room for it; sometimes one comes."""
    yield 0.2
    pod.hold("Unschedulable: 0/3 nodes are available: 3 Insufficient cpu.")
    if rng.random() < 0.4:
        yield rng.uniform(10, 900)
        yield from good(pod, rng)


def creating(pod: Handle, rng: Random) -> Steps:
    """Waits for a volume; sometimes it comes."""
    yield 0.2
    pod.schedule("node-1")
    yield 5.0
    pod.hold("ContainerCreating: volume is not attached")
    if rng.random() < 0.5:
        yield rng.uniform(10, 400)
        pod.hold("")
        yield from _come_up(pod, rng)


def _come_up(pod: Handle, rng: Random) -> Steps:
    setup = pod.first(ContainerRole.INIT)
    if setup is not None:
        pod.run(setup.name)
        yield 0.3
        pod.end(setup.name, Ended(0, "Completed"))
    yield from _start_lasting(pod, rng, main=True)
    yield rng.uniform(0.1, 3.0)
    pod.set_ready(ready=True)


def overflow(pod: Handle, rng: Random) -> Steps:
    """Fills its own disk and is put out."""
    yield from good(pod, rng)
    yield rng.uniform(1, 60)
    pod.fail(
        "Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."
    )


def too_long(pod: Handle, rng: Random) -> Steps:
    """Outlives its own activeDeadlineSeconds."""
    yield from good(pod, rng)
    yield rng.uniform(5, 100)
    pod.fail("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


def rejected(pod: Handle, rng: Random) -> Steps:
    """The node does not take it in."""
    yield 0.2
    pod.schedule("node-2")
    yield 0.1
    pod.fail(
        rng.choice(("OutOfcpu", "NodeAffinity", "UnexpectedAdmissionError", "OutOfexample.com/gpu"))
    )


def sidecar(pod: Handle, rng: Random) -> Steps:
    """Its second container crashes; the main one is well."""
    yield from start(pod, rng)
    other = next((c for c in pod.pod.containers if c.name != MAIN and c.role != "init"), None)
    yield from _loop(
        pod, rng, MAIN if other is None else other.name, Ended(3, "Error"), ready=False
    )


SCRIPTS: MappingProxyType[str, Script] = MappingProxyType(
    {
        script.__name__: script
        for script in (
            good, slow, unhurried, at_the_last_moment, slow_pull, resized, restarts_all, crash, oom, finish,
            start_error, image, config, setup_fails, unready, lost,
            flapping, late, leaking, unschedulable, creating, overflow, too_long, rejected, sidecar,
        )
    }
)  # fmt: skip
