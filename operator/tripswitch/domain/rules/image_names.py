"""Names of container images: registry, repository, tag and digest (rule D2). Pure functions on strings."""

from __future__ import annotations

import re

from tripswitch.domain.values.images import DigestNote

DEFAULT_REGISTRY = "docker.io"
_ALIASES = {"index.docker.io": DEFAULT_REGISTRY}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SCHEMES = ("docker-pullable://", "docker://")
"""What cri-dockerd writes before an image's name or id."""


def split_image(image: str) -> tuple[str, str, str]:
    """Return the repository as it is written, the tag and the digest of an image's name.

    >>> split_image("registry.test:5000/web:1")
    ('registry.test:5000/web', '1', '')
    >>> split_image("web@sha256:1f")
    ('web', '', 'sha256:1f')
    """
    name, _, digest = image.partition("@")
    folder, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    return f"{folder}{slash}{last}", tag, digest


def find_registry(image: str) -> str:
    """Return the host, and port if there is one, of the registry that an image's name means.

    >>> find_registry("web:1"), find_registry("team/web"), find_registry("registry.test/web:1")
    ('docker.io', 'docker.io', 'registry.test')
    """
    host, slash, _ = image.partition("/")
    if slash and ("." in host or ":" in host or host == "localhost"):
        return _ALIASES.get(host, host)
    return DEFAULT_REGISTRY


def normalize_repository(image: str) -> str:
    """Return the full name of an image's repository, as container runtimes write it.

    >>> normalize_repository("web:1"), normalize_repository("registry.test/team/web@sha256:1f")
    ('docker.io/library/web', 'registry.test/team/web')
    """
    repository, _, _ = split_image(image)
    registry = find_registry(repository)
    host, _, path = repository.partition("/")
    if _ALIASES.get(host, host) != registry:  # the name has no host in it
        path = repository
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    return f"{registry}/{path}"


def has_digest(image: str) -> bool:
    """Return whether an image's name says which digest it means."""
    return "@" in image


def pin_image(image: str, digest: str) -> str:
    """Return the name that means one digest of the image's own repository.

    The tag is left out. It would have no meaning beside a digest, and CRI-O 1.31.0 refuses both together.

    >>> pin_image("registry.test/web:1", "sha256:1f")
    'registry.test/web@sha256:1f'
    """
    repository, _, _ = split_image(image)
    return f"{repository}@{digest}"


def read_digest(image: str, image_id: str) -> str | DigestNote:
    """D2: Return the digest that a node's ``imageID`` stands for, or why it is not used."""
    for scheme in _SCHEMES:
        image_id = image_id.removeprefix(scheme)
    _, _, digest = split_image(image_id)
    if not _DIGEST.fullmatch(digest):
        return DigestNote.LOCAL_IMAGE
    if normalize_repository(image_id) != normalize_repository(image):
        return DigestNote.OTHER_REPOSITORY
    return digest


def shorten_digest(digest: str) -> str:
    """Return a digest as events and tables have it.

    >>> shorten_digest("sha256:0123456789abcdef")
    'sha256:0123456789ab'
    """
    return digest[: len("sha256:") + 12]
