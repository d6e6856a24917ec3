"""Rule F8: a pull that failed because the registry is in trouble says nothing about the revision.

The kubelet's word for a failed pull is the same for every cause (``ErrImagePull``, ``ImagePullBackOff``);
the cause stands in its message, in the words of the container runtime, of Go's network library, or of the
registry itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tripswitch.domain.values.registries import PullError

REGISTRY_UNAVAILABLE = "RegistryUnavailable"
"""The one reason of all such failures; a rule of ``failurePolicy`` may make it count."""

PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff"})

NOT_COUNTED = frozenset(
    {
        PullError.THROTTLED,
        PullError.SERVER_ERROR,
        PullError.CERTIFICATE,
        PullError.UNREACHABLE,
        PullError.NO_SPACE,
    }
)
"""Errors of a registry, or of the way to it, that no revision causes (F8)."""

_BARE_BACK_OFF = re.compile(r'Back-off pulling image "[^"]*"')
_NAMES = re.compile(r'"[^"]*"|manifest \S+ in \S+')
"""Names of images and addresses: an image may be named like a trouble, such as ``web:503``."""


@dataclass(frozen=True, slots=True)
class _Class:
    """What a message has in it, in lower case, if a pull failed for one cause."""

    error: PullError
    words: tuple[str, ...]
    codes: frozenset[str] = frozenset()
    """HTTP status codes."""

    def has(self, message: str, codes: Iterable[str]) -> bool:
        return any(word in message for word in self.words) or not self.codes.isdisjoint(codes)


_CODE = re.compile(r"\b[45]\d\d\b")
_CLASSES = (
    # An answer of a registry that works; also a proxy of one may say 5xx about an image that is not there.
    _Class(
        PullError.NOT_THERE,
        (
            "not found",
            "manifest unknown",
            "name unknown",
            "no match for platform",
            "no matching manifest",
            "no image found in",
        ),
    ),
    _Class(PullError.NO_SPACE, ("no space left on device",)),
    _Class(
        PullError.THROTTLED,
        ("toomanyrequests", "too many requests"),
        frozenset({"429"}),
    ),
    _Class(
        PullError.SERVER_ERROR,
        ("registryunavailable",),
        frozenset(str(code) for code in range(500, 600)),  # 520 to 530 are of content networks
    ),
    _Class(PullError.CERTIFICATE, ("x509: ", "tls: ", "gave http response to https client")),
    _Class(PullError.NO_SUCH_HOST, ("no such host",)),
    _Class(
        PullError.UNREACHABLE,
        (
            "i/o timeout",
            "deadline exceeded",
            "context canceled",  # containerd's, when no data came for 5 minutes
            "client.timeout",
            "timed out",
            "tls handshake",
            "connection refused",
            "connection reset",
            "network is unreachable",
            "no route to host",
            "broken pipe",
            "unexpected eof",
            ": eof",
            "use of closed network connection",
            "host is down",
            "goaway",
            "stream error",
            "code = unavailable",  # the node's container runtime
            "server misbehaving",
            "temporary failure in name resolution",
        ),
        frozenset({"408"}),
    ),
    _Class(
        PullError.DENIED,
        (
            "unauthorized",
            "forbidden",
            "denied",
            "authorization failed",
            "authentication required",
        ),
        frozenset({"401", "403"}),
    ),
)


def classify_pull(message: str) -> PullError:
    """Return why a pull failed, from the kubelet's message.

    >>> classify_pull("unexpected status code: 429 Too Many Requests").name
    'THROTTLED'
    >>> classify_pull('failed to resolve reference "web:503": web:503: not found').name
    'NOT_THERE'
    """
    words = _NAMES.sub("", message).lower()
    codes = _CODE.findall(words)
    return next((known.error for known in _CLASSES if known.has(words, codes)), PullError.OTHER)


def is_bare_back_off(message: str) -> bool:
    """Return whether a kubelet waits until it pulls again, and does not say why the last pull failed.

    Kubelets before Kubernetes 1.32 say no more than this:

    >>> is_bare_back_off('Back-off pulling image "web:2"')
    True
    >>> is_bare_back_off('Back-off pulling image "web:2": ErrImagePull: web:2: not found')
    False
    """
    return _BARE_BACK_OFF.fullmatch(message) is not None


def is_not_there(message: str) -> bool:
    """Return whether a registry that works has answered that it does not have an image.

    >>> is_not_there('failed to resolve reference "web@sha256:1f": web@sha256:1f: not found')
    True
    """
    return classify_pull(message) is PullError.NOT_THERE


def is_registry_trouble(reason: str, message: str) -> bool:
    """Return whether a container waits because a registry, or the way to it, is in trouble (F8).

    >>> is_registry_trouble("ErrImagePull", "unexpected status code: 429 Too Many Requests")
    True
    >>> is_registry_trouble("CreateContainerConfigError", "connection refused")
    False
    """
    return reason in PULL_REASONS and classify_pull(message) in NOT_COUNTED
