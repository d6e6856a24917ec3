"""Labels and annotations that the operator writes onto ReplicaSets and pods."""

from __future__ import annotations

from tripswitch.api.identity import GROUP

HASH_LABEL = f"{GROUP}/template-hash"
"""On the ReplicaSet, in its selector and on its pods: it keeps revisions apart, and the operator
watches only what carries it."""

REVISION = f"{GROUP}/revision"

DIGEST = f"{GROUP}/template-digest"

COMPLETED_AT = f"{GROUP}/completed-at"
"""Annotations: what would be lost with the status otherwise (W2), and the template's full identity
(the server fills defaults into the template itself, so it cannot be computed from that again)."""

SIZED_FOR = f"{GROUP}/desired-replicas"
"""Annotation: the ``replicas`` of the GuardedDeployment that the ReplicaSet's size was decided for,
as ``deployment.kubernetes.io/desired-replicas`` (R7)."""

PINNED = f"{GROUP}/pinned-images"
"""Annotation: the image that the revision's template has for each container whose image is pinned to a
digest, as JSON (D1)."""

RETAINED_FOR = f"{GROUP}/retained-for"
"""Label of a pod that was set aside: for which GuardedDeployment."""

RETAINED_UNTIL = f"{GROUP}/retained-until"

RETAINED_WHY = f"{GROUP}/retained-because"
"""Annotations of such a pod. A person who looks at it may write a later time."""

ASIDE = "set-aside"
"""Value of the hash label of such a pod: no ReplicaSet selects it, and the operator still sees it."""


def hash_of(name: str) -> str:
    """Return the hash label's value for a ReplicaSet's name.

    >>> hash_of("web-6f8c2x")
    '6f8c2x'
    """
    return name.rpartition("-")[2]
