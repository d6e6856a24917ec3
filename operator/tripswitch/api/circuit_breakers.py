"""The way between a DeploymentCircuitBreaker as JSON and the core's values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tripswitch.api.alarms import read_alarms, read_bake_seconds
from tripswitch.api.circuit_breaker_spec import CircuitBreakerSpec
from tripswitch.api.circuit_breaker_status import CircuitBreakerStatus
from tripswitch.api.codec import (
    dump_status,
    read_breaker,
    to_api_status,
    to_domain_status,
    validate_spec,
)
from tripswitch.api.identity import RETRY, STOP
from tripswitch.api.lenient import read_leniently
from tripswitch.api.tolerant import mapping, read_optional_text
from tripswitch.domain.values.circuit_breaker import CircuitBreaker
from tripswitch.domain.values.protection import Protection
from tripswitch.domain.values.status import Status


def read_circuit_breaker(raw: Mapping[str, Any]) -> CircuitBreaker:
    """Return the core's view of a DeploymentCircuitBreaker, with defaults filled in.

    Raises:
        InvalidObjectError: The spec cannot be understood (the CRD's schema refuses such objects;
            this is for those that were stored before it did).
    """
    metadata = mapping(raw.get("metadata"))
    annotations = mapping(metadata.get("annotations"))
    generation = metadata.get("generation")
    spec = validate_spec(CircuitBreakerSpec, raw.get("spec"))
    return CircuitBreaker(
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        generation=generation if isinstance(generation, int) else 0,
        protection=Protection(
            kind=spec.target_ref.kind,
            target=spec.target_ref.name,
            mode=spec.mode,
            breaker=read_breaker(spec),
            min_ready_seconds=spec.min_ready_seconds,
            health_check_grace_period=spec.health_check_grace_period_seconds,
            progress_deadline=spec.progress_deadline_seconds,
            alarms=read_alarms(spec),
            bake_seconds=read_bake_seconds(spec),
        ),
        status=read_circuit_breaker_status(raw.get("status")),
        retry=read_optional_text(annotations.get(RETRY)),
        stop=read_optional_text(annotations.get(STOP)),
    )


def read_circuit_breaker_status(raw: Any) -> Status:
    """Return what a DeploymentCircuitBreaker's status holds. Never raises.

    A status of another version, or one edited by hand, is read as far as it makes sense.
    """
    return to_domain_status(read_leniently(CircuitBreakerStatus, raw))


def write_circuit_breaker_status(
    status: Status, generation: int, protection: Protection
) -> dict[str, Any]:
    """Return the status as JSON values, without what is null.

    Args:
        status: Memory and report.
        generation: The generation that the status is about.
        protection: The settings; ``status.target`` shows the workload they name.
    """
    written = to_api_status(CircuitBreakerStatus, status).model_copy(
        update={"target": f"{protection.kind}/{protection.target}"}
    )
    return dump_status(written, generation)
