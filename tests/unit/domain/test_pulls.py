"""Rule F8: trouble of a registry is not the revision's fault."""

from __future__ import annotations

import json

import pytest

from tests.support.builders import START, pod, replica_set, spec, waiting
from tools.recordings.pulls import WORDS
from tripswitch.domain.rules.breaker import watch_pods
from tripswitch.domain.rules.failure_reasons import FAILURE_REASONS
from tripswitch.domain.rules.pulls import REGISTRY_UNAVAILABLE, classify_pull, is_registry_trouble
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.memory import Breaker
from tripswitch.domain.values.registries import PullError
from tripswitch.domain.values.sight import CURRENT, AttemptEvent, Sight
from tripswitch.domain.values.workload import BreakerSpec, PolicyRule

PREFIX = (
    'failed to pull and unpack image "registry.test/web:2": failed to resolve reference '
    '"registry.test/web:2": '
)
HEAD = 'Head "https://registry.test/v2/web/manifests/2": '

TROUBLE = [
    pytest.param("unexpected status from HEAD request: 429 Too Many Requests", id="429"),
    pytest.param("toomanyrequests: You have reached your pull rate limit", id="rate limit"),
    pytest.param("unexpected status from HEAD request: 500 Internal Server Error", id="500"),
    pytest.param("unexpected status from HEAD request: 502 Bad Gateway", id="502"),
    pytest.param("unexpected status from HEAD request: 503 Service Unavailable", id="503"),
    pytest.param("unexpected status from GET request: 522 <none>", id="522 of a content network"),
    pytest.param("received unexpected HTTP status: 530 <none>", id="530 of a content network"),
    pytest.param("unexpected status from GET request: 408 Request Timeout", id="408"),
    pytest.param(HEAD + "context canceled", id="containerd saw no progress"),
    pytest.param(HEAD + "http2: server sent GOAWAY and closed the connection", id="GOAWAY"),
    pytest.param("stream error: stream ID 5; INTERNAL_ERROR; received from peer", id="HTTP/2"),
    pytest.param(HEAD + "read tcp 10.1.2.3:443: use of closed network connection", id="cut off"),
    pytest.param(HEAD + "dial tcp 10.1.2.3:443: connect: host is down", id="host is down"),
    pytest.param("rpc error: code = Unavailable desc = connection error", id="no runtime"),
    pytest.param(HEAD + "dial tcp 10.1.2.3:443: i/o timeout", id="no answer"),
    pytest.param(HEAD + "context deadline exceeded", id="too slow"),
    pytest.param(HEAD + "net/http: TLS handshake timeout", id="TLS does not begin"),
    pytest.param(HEAD + "tls: failed to verify certificate: x509: unknown authority", id="TLS"),
    pytest.param(HEAD + "dial tcp 10.1.2.3:443: connect: connection refused", id="refused"),
    pytest.param(HEAD + "read tcp 10.1.2.3:443: read: connection reset by peer", id="reset"),
    pytest.param(HEAD + "EOF", id="closed"),
    pytest.param("write /var/lib/layer: no space left on device", id="the node is full"),
    pytest.param("RegistryUnavailable: pull failed", id="the runtime's own word"),
]
OWN_FAULT = [
    pytest.param("unexpected status from HEAD request: 404 Not Found", id="404"),
    pytest.param("something nobody has seen 1500", id="no status code"),
    pytest.param("registry.test/web:2: not found", id="no such tag"),
    pytest.param("manifest unknown: manifest unknown", id="no such manifest"),
    pytest.param("no match for platform in manifest: not found", id="no such platform"),
    pytest.param("pull access denied, repository does not exist", id="denied"),
    pytest.param("unexpected status from HEAD request: 401 Unauthorized", id="401"),
    pytest.param("dial tcp: lookup registry.test: no such host", id="a host nobody knows"),
    pytest.param('"registry.test/web:503": registry.test/web:503: not found', id="a tag of 503"),
]


@pytest.mark.parametrize("words", TROUBLE)
@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_f8_trouble_of_a_registry_is_told_apart(reason: str, words: str) -> None:
    back_off = 'Back-off pulling image "registry.test/web:2": ErrImagePull: '
    message = PREFIX + words if reason == "ErrImagePull" else back_off + PREFIX + words
    assert is_registry_trouble(reason, message)


@pytest.mark.parametrize("words", OWN_FAULT)
def test_f8_a_registry_that_works_and_has_no_such_image_is_no_trouble(words: str) -> None:
    assert not is_registry_trouble("ErrImagePull", PREFIX + words)


CONTAINERD = {
    "certificate": PullError.CERTIFICATE,
    "closes": PullError.UNREACHABLE,
    "gone": PullError.UNREACHABLE,
    "hangs": None,
    "no-digest": PullError.NOT_THERE,
    "name-server-fails": PullError.UNREACHABLE,
    "name-server-silent": PullError.UNREACHABLE,
    "no-name": PullError.NO_SUCH_HOST,
    "no-repository": PullError.NOT_THERE,
    "no-tag": PullError.NOT_THERE,
    "plain-http": PullError.CERTIFICATE,
    "resets": PullError.UNREACHABLE,
    "status-401": PullError.DENIED,
    "status-403": PullError.DENIED,
    "status-404": PullError.NOT_THERE,
    "status-429": PullError.THROTTLED,
    "status-500": PullError.SERVER_ERROR,
    "status-502": PullError.SERVER_ERROR,
    "status-503": PullError.SERVER_ERROR,
    "status-504": PullError.SERVER_ERROR,
}
"""What each recorded fault is. A registry that hangs is not told at all within 400 s (P1 covers it)."""

CRI_O = [
    pytest.param("too many requests to registry", PullError.THROTTLED, id="429"),
    pytest.param(
        "reading manifest 503 in registry.test/web: toomanyrequests: You have reached your limit",
        PullError.THROTTLED,
        id="a rate limit, of a tag named like a trouble",
    ),
    pytest.param(
        "pinging container registry registry.test: invalid status code from registry 503 "
        "(Service Unavailable)",
        PullError.SERVER_ERROR,
        id="503",
    ),
    pytest.param(
        'reading manifest 2 in registry.test/web: StatusCode: 500, "oops"',
        PullError.SERVER_ERROR,
        id="500",
    ),
    pytest.param(
        "reading manifest 2 in registry.test/web: received unexpected HTTP status: 502 Bad Gateway",
        PullError.SERVER_ERROR,
        id="502",
    ),
    pytest.param(
        "unable to retrieve auth token: invalid username/password: unauthorized: authentication "
        "required",
        PullError.DENIED,
        id="401",
    ),
    pytest.param(
        "reading manifest 2 in registry.test/web: manifest unknown", PullError.NOT_THERE, id="tag"
    ),
    pytest.param(
        "reading manifest 503 in registry.test/web: denied: requested access to the resource is denied",
        PullError.DENIED,
        id="denied, of a tag named like a trouble",
    ),
    pytest.param(
        'no image found in image index for architecture "arm64", variant "v8", OS "linux"',
        PullError.NOT_THERE,
        id="platform",
    ),
    pytest.param(
        'pinging container registry registry.test: Get "https://registry.test/v2/": dial tcp: lookup '
        "registry.test on 10.96.0.10:53: no such host",
        PullError.NO_SUCH_HOST,
        id="no address",
    ),
    pytest.param(
        'pinging container registry registry.test: Get "https://registry.test/v2/": tls: failed to '
        "verify certificate: x509: certificate signed by unknown authority",
        PullError.CERTIFICATE,
        id="certificate",
    ),
    pytest.param(
        'pinging container registry registry.test: Get "https://registry.test/v2/": dial tcp '
        "10.1.2.3:443: i/o timeout",
        PullError.UNREACHABLE,
        id="no answer",
    ),
]
"""As containers/image, which CRI-O pulls with, puts its errors together."""

DAEMON = "Error response from daemon: "
DOCKER = [
    pytest.param(
        "manifest for registry.test/web:503 not found: manifest unknown: manifest unknown",
        PullError.NOT_THERE,
        id="tag",
    ),
    pytest.param(
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        PullError.NOT_THERE,
        id="platform",
    ),
    pytest.param(
        "pull access denied for web, repository does not exist or may require 'docker login': denied",
        PullError.DENIED,
        id="denied",
    ),
    pytest.param("unauthorized: authentication required", PullError.DENIED, id="401"),
    pytest.param("toomanyrequests: You have reached your limit", PullError.THROTTLED, id="429"),
    pytest.param(
        "received unexpected HTTP status: 503 Service Unavailable", PullError.SERVER_ERROR, id="503"
    ),
    pytest.param(
        'Get "https://registry.test/v2/": net/http: request canceled while waiting for connection '
        "(Client.Timeout exceeded while awaiting headers)",
        PullError.UNREACHABLE,
        id="no answer",
    ),
    pytest.param('Get "https://registry.test/v2/": EOF', PullError.UNREACHABLE, id="closed"),
    pytest.param(
        'Get "https://registry.test/v2/": dial tcp: lookup registry.test: no such host',
        PullError.NO_SUCH_HOST,
        id="no address",
    ),
    pytest.param(
        'Get "https://registry.test/v2/": http: server gave HTTP response to HTTPS client',
        PullError.CERTIFICATE,
        id="no TLS",
    ),
    pytest.param("something nobody has seen", PullError.OTHER, id="unknown words"),
]
"""As Docker's daemon puts its errors together, behind cri-dockerd."""


def test_f8_every_recorded_fault_has_a_class() -> None:
    assert json.loads(WORDS.read_text()).keys() == CONTAINERD.keys()


@pytest.mark.parametrize(("fault", "error"), CONTAINERD.items())
def test_f8_the_recorded_words_of_containerd(fault: str, error: PullError | None) -> None:
    told = json.loads(WORDS.read_text())[fault]
    found = {classify_pull(message) for message in told.values()}
    assert found == (set() if error is None else {error})


@pytest.mark.parametrize(("words", "error"), CRI_O)
def test_f8_the_words_of_cri_o(words: str, error: PullError) -> None:
    assert classify_pull(f'Back-off pulling image "registry.test/web:2": {words}') is error


@pytest.mark.parametrize(("words", "error"), DOCKER)
def test_f8_the_words_of_docker(words: str, error: PullError) -> None:
    assert classify_pull(DAEMON + words) is error


def _look(breaker: Breaker, policy: tuple[PolicyRule, ...], sight: Sight) -> Breaker:
    stuck = pod("a", waiting("ErrImagePull", message=PREFIX + "503 Service Unavailable"))
    wish = spec(breaker=BreakerSpec(policy=policy))
    return watch_pods(breaker, replica_set(1, stuck), wish, START + 10, sight).breaker


BARE = 'Back-off pulling image "registry.test/web:2"'
"""All that a kubelet before Kubernetes 1.32 says in its back-off."""


def test_f8_a_back_off_that_does_not_say_why_counts_nothing_until_a_pull_does() -> None:
    """An operator that has just started has not seen it. The next attempt tells, and the events of all before."""
    bare = pod("a", waiting("ImagePullBackOff", message=BARE))
    first = watch_pods(Breaker(), replica_set(1, bare), spec(), START, CURRENT)
    assert (first.breaker.failure_count, first.need) == (0, None)
    told = pod("a", waiting("ErrImagePull", message=PREFIX + "web:2: not found"))
    event = AttemptEvent("uid-a", "web", 'Failed to pull image "registry.test/web:2": not found', 2)
    again = watch_pods(first.breaker, replica_set(1, told), spec(), START + 9, CURRENT)
    assert again.breaker.failure_count == 1
    sight = Sight(START + 15, None, events=(event,))
    last = watch_pods(again.breaker, replica_set(1, told), spec(), START + 16, sight)
    assert last.breaker.failure_count == 2


def test_f8_it_does_not_count_however_often_the_kubelet_tries() -> None:
    event = AttemptEvent("uid-a", "web", 'Failed to pull image "registry.test/web:2": 503', 9)
    first = _look(Breaker(), (), CURRENT)
    again = _look(first, (), Sight(START + 11, None, events=(event,)))
    assert (first.failure_count, again.failure_count) == (0, 0)
    assert again.failures == ()


def test_f8_a_policy_can_make_it_count() -> None:
    rule = PolicyRule(Verdict.COUNT, frozenset({REGISTRY_UNAVAILABLE}))
    counted = _look(Breaker(), (rule,), CURRENT)
    assert counted.failure_count == 1
    assert counted.failures[0].cause.reason == REGISTRY_UNAVAILABLE
    assert REGISTRY_UNAVAILABLE in FAILURE_REASONS
