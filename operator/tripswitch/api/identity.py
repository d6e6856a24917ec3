"""Names that identify Tripswitch in the API: group, version, kinds, annotations and labels."""

from __future__ import annotations

GROUP = "tripswitch.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "GuardedDeployment"
PLURAL = "guardeddeployments"
BREAKER_KIND = "DeploymentCircuitBreaker"
BREAKER_PLURAL = "deploymentcircuitbreakers"
FIELD_MANAGER = "tripswitch"

RETRY = f"{GROUP}/retry"
"""Annotation on the resource: a new value retries the failed revision (C1)."""
STOP = f"{GROUP}/stop"
"""Annotation on the resource: ``<revision>/ROLLBACK`` or ``<revision>/ABORT`` (C2)."""
CONTINUE = f"{GROUP}/continue"
"""Annotation on the resource: ``<hookId>/CONTINUE`` or ``<hookId>/ROLLBACK`` (C4), or several with commas."""
