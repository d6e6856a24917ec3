"""Rule F8: a pull that failed because the registry is in trouble says nothing about the revision.

The kubelet's word for a failed pull is the same for every cause (``ErrImagePull``, ``ImagePullBackOff``);
the cause stands in its message, in the words of the container runtime, of Go's network library, or of the
registry itself.
"""

from __future__ import annotations

import re

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

_NAMES = re.compile(r'"[^"]*"|manifest \S+ in \S+')
"""Names of images and addresses: an image may be named like a trouble, such as ``web:503``."""


def _match(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_CLASSES = (
    # An answer of a registry that works; also a proxy of one may say 5xx about an image that is not there.
    (
        PullError.NOT_THERE,
        _match(
            r"not found|manifest unknown|name unknown"
            r"|no match for platform|no matching manifest|no image found in"
        ),
    ),
    (PullError.NO_SPACE, _match(r"no space left on device")),
    (PullError.THROTTLED, _match(r"\b429\b|too ?many ?requests")),
    (PullError.SERVER_ERROR, _match(r"\b50[0234]\b|registryunavailable")),
    (PullError.CERTIFICATE, _match(r"x509: |tls: |gave http response to https client")),
    (PullError.NO_SUCH_HOST, _match(r"no such host")),
    (
        PullError.UNREACHABLE,
        _match(
            r"i/o timeout|deadline exceeded|client\.timeout|timed out|tls handshake"
            r"|connection refused|connection reset|network is unreachable|no route to host|broken pipe"
            r"|unexpected eof|: eof|server misbehaving|temporary failure in name resolution"
        ),
    ),
    (
        PullError.DENIED,
        _match(
            r"\b40[13]\b|unauthorized|forbidden|denied|authorization failed|authentication required"
        ),
    ),
)


def classify_pull(message: str) -> PullError:
    """Return why a pull failed, from the kubelet's message.

    >>> classify_pull("unexpected status code: 429 Too Many Requests").name
    'THROTTLED'
    >>> classify_pull('failed to resolve reference "web:503": web:503: not found').name
    'NOT_THERE'
    """
    words = _NAMES.sub("", message)
    return next((error for error, known in _CLASSES if known.search(words)), PullError.OTHER)


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
