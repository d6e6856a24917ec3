"""Rule F8: a pull that failed because the registry is in trouble says nothing about the revision.

The kubelet's word for a failed pull is the same for every cause (``ErrImagePull``, ``ImagePullBackOff``);
the cause stands in its message, in the words of the container runtime, of Go's network library, or of the
registry itself.
"""

from __future__ import annotations

import re

REGISTRY_UNAVAILABLE = "RegistryUnavailable"
"""The one reason of all such failures; a rule of ``failurePolicy`` may make it count."""

PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff"})

_TROUBLE = re.compile(
    r"\b429\b|too ?many ?requests|\b50[0234]\b|registryunavailable"
    r"|i/o timeout|deadline exceeded|client\.timeout|timed out|tls handshake|tls: |x509: "
    r"|connection refused|connection reset|network is unreachable|no route to host|broken pipe"
    r"|unexpected eof|: eof|server misbehaving|no space left on device",
    re.IGNORECASE,
)
_NOT_THERE = re.compile(r"not found|manifest unknown|name unknown", re.IGNORECASE)
"""An answer of a registry that works; an image may be named like a trouble, such as ``web:503``."""
_NAMES = re.compile(r'"[^"]*"')


def is_not_there(message: str) -> bool:
    """Return whether a registry that works has answered that it does not have an image.

    >>> is_not_there('failed to resolve reference "web@sha256:1f": web@sha256:1f: not found')
    True
    """
    return _NOT_THERE.search(_NAMES.sub("", message)) is not None


def is_registry_trouble(reason: str, message: str) -> bool:
    """Return whether a container waits because a registry, or the way to it, is in trouble (F8).

    >>> is_registry_trouble("ErrImagePull", "unexpected status code: 429 Too Many Requests")
    True
    >>> is_registry_trouble("ErrImagePull", 'failed to resolve reference "web:503": web:503: not found')
    False
    >>> is_registry_trouble("CreateContainerConfigError", "connection refused")
    False
    """
    if reason not in PULL_REASONS:
        return False
    return _TROUBLE.search(_NAMES.sub("", message)) is not None and not is_not_there(message)
