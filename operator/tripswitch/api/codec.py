"""The way between the resource as JSON and the core's values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from tripswitch.api import spec as api
from tripswitch.api.alarms import read_alarms, read_bake_seconds
from tripswitch.api.breaker_settings import BreakerSettings, PolicyRule
from tripswitch.api.identity import CONTINUE, RETRY, STOP
from tripswitch.api.lenient import read_leniently
from tripswitch.api.lifecycle import read_early_success, read_hooks
from tripswitch.api.status import CommonStatus
from tripswitch.api.status import Status as ApiStatus
from tripswitch.api.template import read_template, template_digest
from tripswitch.api.tolerant import mapping, read_optional_text
from tripswitch.domain.values import workload
from tripswitch.domain.values.images import VersionConsistency
from tripswitch.domain.values.memory import Memory, Revision
from tripswitch.domain.values.report import Report, RevisionReport
from tripswitch.domain.values.snapshot import Guarded
from tripswitch.domain.values.status import Status

"""Annotations with a person's commands (rules C1 and C2)."""

Model = TypeVar("Model", bound=BaseModel)

_memory: TypeAdapter[Memory] = TypeAdapter(Memory)
_report: TypeAdapter[Report] = TypeAdapter(Report)


class InvalidObjectError(ValueError):
    """An object whose spec cannot be understood; says which field and why."""


def read_guarded(raw: Mapping[str, Any]) -> Guarded:
    """Return the core's view of a GuardedDeployment, with defaults filled in.

    Raises:
        InvalidObjectError: The spec cannot be understood (the CRD's schema refuses such objects;
            this is for those that were stored before it did).
    """
    metadata = mapping(raw.get("metadata"))
    annotations = mapping(metadata.get("annotations"))
    generation = metadata.get("generation")
    spec = validate_spec(api.Spec, raw.get("spec"))
    return Guarded(
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        generation=generation if isinstance(generation, int) else 0,
        spec=_read_spec(spec),
        status=read_status(raw.get("status")),
        retry=read_optional_text(annotations.get(RETRY)),
        stop=read_optional_text(annotations.get(STOP)),
        answers=read_optional_text(annotations.get(CONTINUE)),
    )


def validate_spec(kind: type[Model], spec: Any) -> Model:
    """Return a spec as its model.

    Raises:
        InvalidObjectError: It cannot be understood; the message names the first field and says why.
    """
    try:
        return kind.model_validate(spec or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in ("spec", *first["loc"]))
        raise InvalidObjectError(f"{where}: {first['msg']}") from error


def read_status(raw: Any) -> Status:
    """Return what a status holds. Never raises.

    A status of another version, or one edited by hand, is read as far as it makes sense.
    """
    return to_domain_status(read_leniently(ApiStatus, raw))


def to_domain_status(read: CommonStatus) -> Status:
    """Return memory and report of a status model, which has the fields of both.

    A status that contradicts itself is as good as lost: the revisions of the workload know the history
    (rule W2).
    """
    dumped = read.model_dump()
    memory, report = _memory.validate_python(dumped), _report.validate_python(dumped)
    known = {record.revision for record in memory.revisions}
    if memory.rollout is None and memory.desired_revision is None and not known:
        return Status(memory, report)  # nothing has been rolled out yet, or it cannot be watched
    if (
        memory.rollout is None
        or memory.rollout.revision not in known
        or memory.desired_revision not in known
        or len(known) != len(memory.revisions)
    ):
        return Status(
            Memory(
                conditions=memory.conditions,
                collision_count=memory.collision_count,
                observed_retry=memory.observed_retry,
                observed_stop=memory.observed_stop,
                hold=memory.hold,
                resumes=memory.resumes,
            ),
            Report(conditions=report.conditions),
        )
    if memory.last_completed_revision not in known:
        memory = replace(memory, last_completed_revision=None)
    return Status(memory, report)


def write_status(status: Status, generation: int) -> dict[str, Any]:
    """Return the status as JSON values, without what is null."""
    return dump_status(to_api_status(ApiStatus, status), generation)


def to_api_status(kind: type[Model], status: Status) -> Model:
    """Return memory and report as one model: each of its fields has the name of a field of theirs.

    An entry of ``revisions`` is made of the entries of both. The report has all of a condition.
    """
    memory, report = _shallow(status.memory), _shallow(status.report)
    told = {one.revision: _shallow(one) for one in status.report.revisions}
    revisions = [_shallow(one) | told.get(one.revision, {}) for one in status.memory.revisions]
    return kind.model_validate(memory | report | {"revisions": revisions})


def _shallow(value: Memory | Report | Revision | RevisionReport) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def dump_status(status: CommonStatus, generation: int) -> dict[str, Any]:
    """Return a status model as JSON values, without what is null."""
    dumped: dict[str, Any] = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    for condition in dumped["conditions"]:
        condition["observedGeneration"] = generation
    for revision in dumped["revisions"]:
        if not revision["containerImages"]:  # a guarded workload's has none
            del revision["containerImages"]
    rollout = dumped.get("rollout")
    if rollout is not None and not rollout["hooks"]:
        del rollout["hooks"]
    return dumped


def _read_spec(spec: api.Spec) -> workload.Spec:
    configuration = spec.deployment_configuration
    breaker = configuration.deployment_circuit_breaker
    digest = template_digest(spec.template)
    return workload.Spec(
        replicas=spec.replicas,
        template=read_template(spec.template, digest),
        strategy=_read_strategy(spec),
        breaker=read_breaker(breaker, enable=breaker.enable),
        min_ready_seconds=spec.min_ready_seconds,
        health_check_grace_period=spec.health_check_grace_period_seconds,
        progress_deadline=spec.progress_deadline_seconds,
        revision_history_limit=spec.revision_history_limit,
        paused=spec.paused,
        selector=format_selector(spec.selector),
        retention=workload.Retention(
            spec.failed_pod_retention.count, spec.failed_pod_retention.ttl_seconds
        ),
        alarms=read_alarms(configuration),
        bake_seconds=read_bake_seconds(configuration),
        early_success=read_early_success(configuration.early_success_criteria),
        hooks=read_hooks(configuration.lifecycle_hooks),
        consistency=VersionConsistency(
            spec.version_consistency == "enabled", frozenset(spec.version_consistency_exclusions)
        ),
    )


def _read_strategy(spec: api.Spec) -> workload.Strategy:
    if spec.strategy is None:
        configuration = spec.deployment_configuration
        default = workload.Percentages()
        minimum, maximum = (
            configuration.minimum_healthy_percent,
            configuration.maximum_percent,
        )
        return workload.Percentages(
            default.minimum_healthy if minimum is None else minimum,
            default.maximum if maximum is None else maximum,
        )
    if spec.strategy.type == "Recreate":
        return workload.Recreate()
    bounds = spec.strategy.rolling_update or api.RollingUpdate()
    return workload.RollingUpdate(
        _read_amount(bounds.max_surge), _read_amount(bounds.max_unavailable)
    )


def _read_amount(value: int | str) -> workload.Amount:
    if isinstance(value, int):
        return workload.Amount(value)
    number = value.removesuffix("%")
    if not number.isdecimal():
        raise InvalidObjectError(f"spec.strategy.rollingUpdate: {value!r} is no number of pods")
    return workload.Amount(int(number), percent=value.endswith("%"))


def read_breaker(settings: BreakerSettings, *, enable: bool = True) -> workload.BreakerSpec:
    """Return the core's view of the settings that both kinds share."""
    return workload.BreakerSpec(
        enable=enable,
        rollback=settings.rollback,
        reset_on_healthy_task=settings.reset_on_healthy_task,
        threshold_type=settings.threshold_configuration.type,
        threshold_value=settings.threshold_configuration.value,
        policy=tuple(_read_rule(rule) for rule in settings.failure_policy.rules),
    )


def _read_rule(rule: PolicyRule) -> workload.PolicyRule:
    codes = rule.on_exit_codes
    return workload.PolicyRule(
        action=rule.action,
        reasons=frozenset(rule.on_reasons),
        container=rule.container_name or (codes.container_name if codes else None),
        exit_codes=frozenset(codes.values if codes else ()),
        exit_codes_negated=codes is not None and codes.operator == "NotIn",
    )


def format_selector(selector: api.Selector) -> str:
    """Return a label selector in the one-line syntax that the scale subresource needs.

    >>> format_selector(api.Selector(match_labels={"tier": "front", "app": "web"}))
    'app=web,tier=front'
    """
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for requirement in selector.match_expressions:
        values = f"({','.join(sorted(requirement.values))})"
        match requirement.operator:
            case api.SelectorOperator.IN:
                parts.append(f"{requirement.key} in {values}")
            case api.SelectorOperator.NOT_IN:
                parts.append(f"{requirement.key} notin {values}")
            case api.SelectorOperator.EXISTS:
                parts.append(requirement.key)
            case api.SelectorOperator.DOES_NOT_EXIST:
                parts.append(f"!{requirement.key}")
    return ",".join(parts)
