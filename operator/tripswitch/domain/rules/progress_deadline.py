"""Rules P1 and P2: how long a rollout may go without one more healthy pod."""

from __future__ import annotations

import math

from tripswitch.domain.rules.health import PROOF_SECONDS, effective_min_ready_seconds
from tripswitch.domain.values.workload import Readiness, Spec

DEFAULT_SECONDS = 600
"""What a Deployment has, too."""

MARGIN_SECONDS = 60.0
"""Time for what comes before a container starts: a node, an image."""


def compute_progress_deadline(spec: Spec, readiness: Readiness) -> int:
    """Return the progress deadline for pods of one template, in seconds; 0 means never (P1).

    By default 600, or what the startup probes and the readiness probes of a pod may take, and 60 s:

    >>> from tripswitch.domain.values.workload import Template
    >>> compute_progress_deadline(Spec(1, Template("v1")), Readiness(True, budget=31.0))
    600
    >>> compute_progress_deadline(Spec(1, Template("v1")), Readiness(True, 31.0, startup=1201.0))
    1292

    A deadline within which no pod can be healthy begins when it can (P2; the CRD refuses new ones):

    >>> compute_progress_deadline(
    ...     Spec(1, Template("v1"), progress_deadline=600, min_ready_seconds=900), Readiness(True)
    ... )
    1500
    """
    deadline = spec.progress_deadline
    if deadline is None:
        needed = readiness.startup + readiness.budget + MARGIN_SECONDS
        deadline = max(DEFAULT_SECONDS, math.ceil(needed))
    if deadline == 0:
        return 0
    settling = effective_min_ready_seconds(spec.min_ready_seconds, all_probed=readiness.all_probed)
    if spec.min_ready_seconds is None:
        settling = max(settling, math.ceil(PROOF_SECONDS))
    return deadline if settling < deadline else deadline + settling
