"""Rule F8: trouble of a registry is not the revision's fault."""

from __future__ import annotations

import pytest

from tests.support.builders import START, pod, replica_set, spec, waiting
from tripswitch.domain.rules.breaker import watch_pods
from tripswitch.domain.rules.failure_reasons import FAILURE_REASONS
from tripswitch.domain.rules.pulls import REGISTRY_UNAVAILABLE, is_registry_trouble
from tripswitch.domain.values.failure import Verdict
from tripswitch.domain.values.memory import Breaker
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


def _look(breaker: Breaker, policy: tuple[PolicyRule, ...], sight: Sight) -> Breaker:
    stuck = pod("a", waiting("ErrImagePull", message=PREFIX + "503 Service Unavailable"))
    wish = spec(breaker=BreakerSpec(policy=policy))
    return watch_pods(breaker, replica_set(1, stuck), wish, START + 10, sight).breaker


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
