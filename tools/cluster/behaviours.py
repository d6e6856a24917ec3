"""What simulated pods can be told to do: a table of steps per behaviour.

A pod says what it does with annotations (see README.md). Where it is in its behaviour is read from
its status alone, as ``STATE`` below: so a pod can be given another behaviour at any time, and kwok
can be restarted. The times follow the recording of a real kubelet; back-offs are the real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PREFIX = "stage.tripswitch.dev"
BEHAVIOUR = f"{PREFIX}/behaviour"
CONTAINER = f"{PREFIX}/container"
DELAY = f"{PREFIX}/delay"
STOP = f"{PREFIX}/stop"


def note(name: str) -> str:
    """jq: the value of an annotation."""
    return f'.metadata.annotations["{name}"]'


# $c is the status of the container that the behaviour is about, null before there is one.
_SUBJECT = f"""
({note(CONTAINER)} // (if {note(BEHAVIOUR)} == "init-fail"
  then .spec.initContainers[0].name else .spec.containers[0].name end)) as $name
| ([(.status.initContainerStatuses, .status.containerStatuses)[]? | select(.name == $name)][0])
  as $c | """

STATE = f"""{_SUBJECT}
if .status.phase == "Failed" then "failed"
elif .status.startTime == null then "new"
elif any(.status.conditions[]?; .type == "DisruptionTarget") then "disrupted"
elif $c.state.running | not then
  ($c.state.waiting.reason // "ended") + (if $c.restartCount == 0 then "/0" else "" end)
elif $c.ready then "ready"
elif $c.started then "started"
else "starting" end"""
"""jq: new, <waiting reason>, starting, started, ready, ended, disrupted or failed; with ``/0``
while the container was not restarted yet."""

CREATING = ("ContainerCreating/0", "PodInitializing/0")


def since_start(seconds: int) -> str:
    """jq: so long after the container was started."""
    return f"{_SUBJECT} $c.state.running.startedAt | fromdateiso8601 + {seconds} | todateiso8601"


# A kubelet's back-off doubles from 10 s up to 300 s, but it looks only now and then whether it has
# passed. The first two pauses are recorded from a real one, the others follow its rhythm of 14.5 s.
BACK_OFF = f"""{_SUBJECT} $c.lastState.terminated.finishedAt | fromdateiso8601
+ [13, 29, 44, 87, 174, 305][[$c.restartCount - 1, 5] | min] | todateiso8601"""


BACK_OFF_OR_DELAY = f"if {note(DELAY)} then {note(DELAY)} else ({BACK_OFF}) end"
"""jq: for tests that count to the end: with a delay of an hour there are exactly two failures."""


def _at(*seconds: int) -> str:
    """jq: the next of some moments in the pod's life; every 5 minutes after the last."""
    moments = ", ".join(map(str, seconds))
    return f"""(.status.startTime | fromdateiso8601) as $start
| first(({moments}, range({seconds[-1]} + 300; 1e6; 300)) | select($start + . > now))
| $start + . | todateiso8601"""


@dataclass(frozen=True)
class Step:
    """In one of ``states``, wait ``after`` (a Go duration or jq), then make ``move``.

    ``behaviours`` empty: pods without the annotation. ``unless``: states it does not start from.
    ``warnings``: the Warning event (reason, message) that a kubelet would send with it, by behaviour.
    """

    name: str
    behaviours: tuple[str, ...]
    move: Mapping[str, object]
    states: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    after: str = "0s"
    warnings: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def _run(*, ready: bool = True, started: bool = True) -> dict[str, object]:
    return {"to": "running", "ready": ready, "started": started}


# Too short for a readiness probe to succeed; without one a kubelet says Ready at once.
_RUN_BRIEFLY: Mapping[str, object] = {**_run(), "brief": True}


def _wait(reason: str, message: str) -> dict[str, object]:
    return {"to": "waiting", "reason": reason, "message": message}


def _end(code: int, reason: str) -> dict[str, object]:
    return {"to": "ended", "code": code, "reason": reason}


def _fail(reason: str, message: str) -> dict[str, object]:
    """The whole pod fails; its containers are killed."""
    return {"phase": "Failed", "podReason": reason, "message": message, **_end(137, "Error")}


# behaviour: exit code, reason, how long each run lasts
CRASHES: Mapping[str, tuple[int, str, str]] = {
    "crash": (2, "Error", "900ms"),
    "oom": (137, "OOMKilled", "900ms"),
    "exit-0": (0, "Completed", "900ms"),
    "late-crash": (1, "Error", since_start(20)),
    "liveness-kill": (137, "Error", since_start(10)),
    "init-fail": (1, "Error", "900ms"),
}
LASTING = ("late-crash", "liveness-kill")
BRIEF = tuple(name for name in CRASHES if name not in LASTING)
_LOOP = _wait("CrashLoopBackOff", "back-off {pause} restarting failed container={name} {pod}")
_UNSTARTABLE = {
    "to": "unstartable",
    "code": 128,
    "reason": "RunContainerError",
    "lastReason": "StartError",
    "message": "failed to create containerd task: failed to create shim task: OCI runtime create "
    "failed: runc create failed: unable to start container process: error during container init: "
    'exec: "EXIT": executable file not found in $PATH',
}
_NOT_FOUND = (
    'failed to pull and unpack image "{image}": failed to resolve reference "{image}": '
    "{image}: not found"
)
_REFUSED = (
    'failed to pull and unpack image "{image}": failed to resolve reference "{image}": failed to do '
    'request: Head "https://registry.example.com/v2/web/manifests/1": dial tcp 192.0.2.1:443: '
    "connect: connection refused"
)
# behaviour: the runtime's words
PULLS: Mapping[str, str] = {"image-pull": _NOT_FOUND, "registry-down": _REFUSED}
_PULL_GIVES_UP = _at(15, 41, 70, 114, 204, 374)
_PULL_TRIES = _at(27, 56, 100, 190, 360, 670)
_CONFIG = _wait("CreateContainerConfigError", 'configmap "missing" not found')
_INVALID_IMAGE = _wait(
    "InvalidImageName", 'Failed to apply default image tag "{image}": couldn\'t parse image name'
)
# behaviour: what the container waits for, for good
REFUSED_STARTS: Mapping[str, Mapping[str, object]] = {
    "never-pull": _wait(
        "ErrImageNeverPull", 'Container image "{image}" is not present with pull policy of Never'
    ),
    "unsigned": _wait(
        "SignatureValidationFailed",
        "SignatureValidationFailed: image pull failed for {image} because the signature "
        "validation failed",
    ),
    "create-error": _wait(
        "CreateContainerError",
        "failed to generate container spec: failed to generate spec: no command specified",
    ),
}
LOSSES = ("evicted-disruption", "evicted-storage", "deadline-exceeded", "node-shutdown")
_LOW = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi."
_DISRUPT = {"disruption": "TerminationByKubelet", "message": _LOW}
_EVICT = {**_fail("Evicted", _LOW), "disruption": "TerminationByKubelet"}
_EVICT_STORAGE = _fail(
    "Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
)
_TOO_LONG = _fail(
    "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
)
_SHUT_DOWN = _fail("Terminated", "Pod was terminated in response to imminent node shutdown.")


def _refuse(reason: str, message: str) -> dict[str, object]:
    """Refused before any container was looked at."""
    return {"phase": "Failed", "podReason": reason, "message": message, "bare": True}


# behaviour: what the node says
REFUSALS: Mapping[str, Mapping[str, object]] = {
    "out-of-cpu": _refuse(
        "OutOfcpu",
        "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000, "
        "used: 0, capacity: 0",
    ),
    "node-affinity": _refuse(
        "NodeAffinity",
        "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node "
        "affinity/selector",
    ),
}

UNREADY_WORDS = "Readiness probe failed: HTTP probe failed with statuscode: 503"
LIVENESS_WORDS = "Liveness probe failed: HTTP probe failed with statuscode: 500"
MOUNT_WORDS = 'MountVolume.SetUp failed for volume "conf" : configmap "web-conf" not found'
PULL_WORDS = "Failed to pull image: not found"
"""A kubelet names the image, and counts these events: they tell how often it tried (rule F2)."""
_UNREADY = ("Unhealthy", UNREADY_WORDS)
WARNINGS: Mapping[str, tuple[str, str]] = {
    "never-ready": _UNREADY,
    "ready-then-lost": _UNREADY,
    "liveness-kill": ("Unhealthy", LIVENESS_WORDS),
    "slow-mount": ("FailedMount", MOUNT_WORDS),
    "image-pull": ("Failed", PULL_WORDS),
    "registry-down": ("Failed", "Failed to pull image: connection refused"),
}


def _pull(behaviour: str, words: str) -> tuple[Step, ...]:
    """Try to pull an image again and again, and say each time why it failed."""
    on, fails = (behaviour,), _wait("ErrImagePull", words)
    waits = _wait("ImagePullBackOff", f'Back-off pulling image "{{image}}": ErrImagePull: {words}')
    again = "ImagePullBackOff/0"
    return (
        Step(f"pull-{behaviour}", on, fails, CREATING, after="1400ms", warnings=WARNINGS),
        Step(f"wait-{behaviour}", on, waits, ("ErrImagePull/0",), after=_PULL_GIVES_UP),
        Step(f"again-{behaviour}", on, fails, (again,), after=_PULL_TRIES, warnings=WARNINGS),
    )


STEPS: tuple[Step, ...] = (
    # A pod without the annotation runs at once; so does one whose annotation was taken away.
    Step("normal", (), _run(), unless=("ready", "disrupted", "failed")),
    # Crash loops of all kinds.
    Step("crash-run", BRIEF, _RUN_BRIEFLY, CREATING, after="500ms"),
    Step("lasting-run", LASTING, _run(), CREATING, after="500ms"),
    *(
        Step(
            f"exit-{name}",
            (name,),
            _end(code, reason),
            ("ready", "started"),
            after=after,
            warnings=WARNINGS,
        )
        for name, (code, reason, after) in CRASHES.items()
    ),
    Step("crash-run-again", BRIEF, _RUN_BRIEFLY, ("ended/0",), after="100ms"),
    Step("lasting-run-again", LASTING, _run(), ("ended/0",), after="100ms"),
    Step("crash-wait", tuple(CRASHES), _LOOP, ("ended",), after="1s"),
    Step("crash-restart", BRIEF, _RUN_BRIEFLY, ("CrashLoopBackOff",), after=BACK_OFF_OR_DELAY),
    Step("lasting-restart", LASTING, _run(), ("CrashLoopBackOff",), after=BACK_OFF),
    # A command that does not exist: never runs, every try counts as a restart.
    Step("start", ("start-error",), _UNSTARTABLE, CREATING, after="1400ms"),
    Step("start-again", ("start-error",), _UNSTARTABLE, ("RunContainerError/0",), after="1s"),
    Step("start-wait", ("start-error",), _LOOP, ("RunContainerError",), after="1s"),
    Step("start-retry", ("start-error",), _UNSTARTABLE, ("CrashLoopBackOff",), after=BACK_OFF),
    # An image that is not there: back-offs of 10, 20, 40, 80, 160, 300 s, no restarts counted.
    *(step for name, words in PULLS.items() for step in _pull(name, words)),
    # Waiting for good.
    Step("config-error", ("config-error",), _CONFIG, CREATING, after="500ms"),
    Step("invalid-image", ("invalid-image",), _INVALID_IMAGE, CREATING, after="500ms"),
    *(Step(name, (name,), wait, CREATING, after="500ms") for name, wait in REFUSED_STARTS.items()),
    # Running, but not Ready.
    Step(
        "never-ready",
        ("never-ready",),
        _run(ready=False),
        CREATING,
        after="500ms",
        warnings=WARNINGS,
    ),
    Step("ready-at-first", ("ready-then-lost",), _run(), CREATING, after="500ms"),
    Step(
        "ready-lost",
        ("ready-then-lost",),
        _run(ready=False),
        ("ready",),
        after=since_start(10),
        warnings=WARNINGS,
    ),
    Step("slow-begin", ("slow-start",), _run(ready=False, started=False), CREATING, after="500ms"),
    Step("slow-ready", ("slow-start",), _run(), ("starting",), after=f'{note(DELAY)} // "5s"'),
    # A volume that is not there, until it is.
    Step("mounted", ("slow-mount",), _run(), CREATING, after=f'{note(DELAY)} // "5s"'),
    # The whole pod is lost.
    Step("before-loss", LOSSES, _run(), CREATING, after="500ms"),
    Step("disrupt", ("evicted-disruption",), _DISRUPT, ("ready",), after=since_start(3)),
    Step("evict", ("evicted-disruption",), _EVICT, ("disrupted",), after="1s"),
    Step("evict-storage", ("evicted-storage",), _EVICT_STORAGE, ("ready",), after=since_start(3)),
    Step("too-long", ("deadline-exceeded",), _TOO_LONG, ("ready",), after=since_start(3)),
    Step("shut-down", ("node-shutdown",), _SHUT_DOWN, ("ready",), after=since_start(3)),
    # Slower than a kubelet, which refuses at once: the ReplicaSet makes the next pod at once, too.
    *(
        Step(f"refuse-{name}", (name,), refusal, ("new",), after="1s")
        for name, refusal in REFUSALS.items()
    ),
)

BEHAVIOURS = tuple(sorted({name for step in STEPS for name in step.behaviours}))
"""Every value the behaviour annotation may have."""

ACCEPTED = tuple(name for name in BEHAVIOURS if name not in REFUSALS)
ACCEPT = Step(
    "accept",
    ACCEPTED,
    {"to": "creating"},
    ("new",),
    warnings={"slow-mount": WARNINGS["slow-mount"]},
)
"""The kubelet has seen the pod. Normal pods skip it, to halve the writes of big benchmarks."""
